# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rehearsal on another machine: what it lacks is sent, its answer comes back, and nothing of the host stays there."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pty
import shutil
import subprocess
import sys
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.tree_archive import TreeList, write_list, write_piece
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.file_store import Collected, FileStore
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.planned_policy import PlannedPolicy
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.rehearsal import RehearsalSettings
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.remote_boot import RemoteBoot
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.remote_job import RemoteJob

POLICY = PlannedPolicy(
    {"/etc/modprobe.d/x.conf": ("blacklist nouveau\n", 0o644), "/etc/old": (None, 0)}, ("vfio_pci",), {"0000:3b:00.0": "vfio-pci"}
)
FACTS = {
    "functions": [{"address": "0000:3b:00.0", "path": None, "physical_function": None, "configuration": "", "class": 0x030200}],
    "kernels": [{"release": "6.12.1", "file_system": False, "no_modules": None}],
    "forecast": {"devices": [{"address": "0000:3b:00.0", "kernels": {}}]},
    "missing": [],
    "cpu": "",
    "efi": False,
    "left_out": [],
}


@dataclass(frozen=True)
class AnotherFolder:
    """This machine as another one: a shell, and files that are copied."""

    folder: str

    def run(self, command: str) -> str:
        done = subprocess.run(("sh", "-c", command), capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]})
        if done.returncode:
            raise HostError(done.stderr)
        return done.stdout

    def put(self, here: Path, there: str) -> None:
        shutil.copyfile(here, there)

    def fetch(self, there: str, here: Path) -> None:
        shutil.copyfile(there, here)


@dataclass(frozen=True)
class InATerminal(AnotherFolder):
    """Each line has a terminal of its own, as ssh gives it to one; its end hangs up whoever is left there and is slow to go."""

    def run(self, command: str) -> str:
        slow = Path(self.folder) / "slow/nohup"
        slow.parent.mkdir(exist_ok=True)
        slow.write_text(f'#!/bin/sh\nsleep 1\nexec {shutil.which("nohup")} "$@"\n')
        slow.chmod(0o755)
        child, terminal = pty.fork()
        if child == 0:
            os.execve("/bin/sh", ("sh", "-c", command), {"PATH": f"{slow.parent}:{os.environ['PATH']}"})
        text = b""
        with contextlib.suppress(OSError):
            while piece := os.read(terminal, 1 << 16):
                text += piece
        _pid, status = os.waitpid(child, 0)
        os.close(terminal)
        if status:
            raise HostError(text.decode())
        return text.decode().replace("\r\n", "\n")


def settings(**given: t.Any) -> RehearsalSettings:
    usual: dict[str, t.Any] = {"memory": 1 << 20, "cpus": 1, "forks": 1, "repeat": 1, "hold": 1, "timeout": 60, "accelerator": "tcg"}
    return RehearsalSettings(**{**usual, "keep": False, "mirror": None, **given})


@dataclass(frozen=True)
class Two:
    """A controller with a host's files, and a machine that is to boot, each with its cache."""

    tmp_path: Path
    store: FileStore
    listed: Path

    @classmethod
    def made(cls, tmp_path: Path) -> Two:
        for path, text in {"etc/modprobe.d/gpu.conf": "blacklist nouveau\n", "usr/bin/program": "#!/bin/sh\n"}.items():
            (tmp_path / "root" / path).parent.mkdir(parents=True)
            (tmp_path / "root" / path).write_text(text)
        found = TreeList(str(tmp_path / "root"), lambda _path, _is_folder: True, lambda _path, content: content, 1 << 30)
        found.add_tree("/etc")
        found.add_tree("/usr")
        write_list(str(tmp_path / "list"), found, FACTS)
        store = FileStore.of(Cache(tmp_path / "controller"), "gpu7")
        paths = [entry.path for entry in Collected.read(tmp_path / "list").entries if entry.kind == "file"]
        write_piece(str(tmp_path / "root"), str(tmp_path / "sent"), paths, lambda _path, content: content, 0, 1 << 30)
        store.take(tmp_path / "sent")
        for name in ("there", "scratch"):
            (tmp_path / name).mkdir()
        return cls(tmp_path, store, tmp_path / "list")

    def result(
        self, given: RehearsalSettings, python: str = sys.executable, machine: type[AnotherFolder] = AnotherFolder
    ) -> tuple[dict[str, t.Any], int, list[str]]:
        said: list[str] = []
        boot = RemoteBoot(machine(str(self.tmp_path / "there")), python, self.tmp_path / "scratch", Progress("gpu7", said.append))
        job = RemoteJob("gpu7", given, POLICY, str(self.tmp_path / "machine"))
        found, sent = boot.result(job, self.store, self.listed)
        return found, sent, said

    def kept_there(self) -> list[str]:
        """What of the files stays, by its text."""
        place = self.tmp_path / "machine/rehearsals"
        return sorted(path.read_text() for top in ("files", "hosts") for path in (place / top).rglob("*") if path.is_file())


def test_a_job_is_the_same_after_it_was_sent() -> None:
    job = RemoteJob("gpu7", settings(), POLICY, None)
    assert RemoteJob.parse(job.text()) == job


@pytest.mark.sampled(2)
@pytest.mark.parametrize("machine", [AnotherFolder, InATerminal])
def test_the_other_machine_gets_what_it_lacks_and_its_answer_comes_back(tmp_path: Path, machine: type[AnotherFolder]) -> None:
    two = Two.made(tmp_path)
    if os.geteuid() != 0:
        with pytest.raises(HostError, match="needs root"):
            two.result(settings(), machine=machine)
        return
    found, sent, said = two.result(settings(), machine=machine)
    (kernel,) = found["kernels"]
    assert (kernel["boots"], kernel["devices"][0]["claimed"]) == (0, "vfio-pci")
    assert sent > 0
    assert any("sent 2 of 2 files" in line for line in said)
    # Of packages, which the next host may have, too; the host's own file is gone.
    assert two.kept_there() == ["#!/bin/sh\n"]
    again = two.result(settings())[2]
    assert any("sending 1 of" in line for line in again)


def test_what_is_refused_there_is_refused_here(tmp_path: Path) -> None:
    two = Two.made(tmp_path)
    with pytest.raises(HostError, match=r"^memory: |needs root"):
        two.result(settings(memory=1 << 60))
    assert two.kept_there() == ["#!/bin/sh\n"]


def test_a_machine_without_a_python_of_that_version_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    two = Two.made(tmp_path)
    with pytest.raises(HostError, match=r"has no nosuchpython of version 3\.11"):
        two.result(settings(), "nosuchpython")
    assert not (tmp_path / "machine").exists()


def test_who_ends_it_here_ends_it_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two = Two.made(tmp_path)

    def interrupted(_seconds: float) -> t.NoReturn:
        monkeypatch.undo()
        until = time.monotonic() + 60
        while not works_in(tmp_path / "there"):
            assert time.monotonic() < until
            time.sleep(0.05)
        raise KeyboardInterrupt

    # The job waits for the lock that this test has.
    with Cache.at(str(tmp_path / "machine")).lock(f"rehearsal-sent-{hashlib.sha256(b'gpu7').hexdigest()[:16]}"):
        monkeypatch.setattr(time, "sleep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            two.result(settings())
        assert not works_in(tmp_path / "there")


def works_in(folder: Path) -> bool:
    """Whether a process has its place there."""
    for place in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if place.resolve(strict=True) == folder:
                return True
    return False

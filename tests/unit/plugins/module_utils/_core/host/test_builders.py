# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.builders import locked_for_building, others, program_of
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.tests.unit.trees import Tree

BUILD = "/bin/bash\0/usr/sbin/dkms\0autoinstall\0"


class LiveProcesses(Host):
    """A tree that has this machine's processes."""

    def whole(self, path: str) -> str:
        return path if path.startswith("/proc") else super().whole(path)


@contextlib.contextmanager
def running(folder: Path, seconds: float) -> t.Iterator[subprocess.Popen[bytes]]:
    """A real script with the name of DKMS' program."""
    script = folder / "dkms"
    script.write_text(f"#!/bin/bash\nsleep {seconds}\nexit 0\n", encoding="utf-8")
    script.chmod(0o755)
    with subprocess.Popen([str(script), "build", "-m", "gpu"], start_new_session=True) as process:
        # The kernel fills this in a moment after the parent goes on.
        while not Path(f"/proc/{process.pid}/cmdline").read_bytes():
            time.sleep(0.01)
        try:
            yield process
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """With all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def process(tree: Tree, number: int, cmdline: str, root: str = "/") -> Tree:
    return tree.file(f"/proc/{number}/cmdline", cmdline).link(f"/proc/{number}/root", root)


def test_a_build_that_others_run_is_waited_for(tmp_path: Path) -> None:
    host = LiveProcesses(str(tmp_path))
    with running(tmp_path, 1.5) as build:
        began = time.monotonic()
        with locked_for_building(host, 60):
            assert build.poll() is not None or build.wait(1) == 0
        assert time.monotonic() - began > 0.5


def test_one_that_does_not_end_is_named(tmp_path: Path) -> None:
    host = LiveProcesses(str(tmp_path))
    with running(tmp_path, 60) as build:
        wanted = rf"dkms build -m gpu` \(process {build.pid}\) builds modules or images on this host, and has not ended for 0.3 s\."
        with pytest.raises(HostError, match=wanted), locked_for_building(host, 0.3):
            pass
        end(build)
        with locked_for_building(host, 60):
            assert os.listdir(host.path("/run"))


def test_programs_are_known_by_their_script_where_a_shell_runs_it(tree: Tree) -> None:
    process(tree, 1, "/sbin/init\0")
    process(tree, 20, BUILD)
    process(tree, 21, "/usr/bin/env\0bash\0")
    process(tree, 22, "bash\0-p\0/usr/bin/dracut\0--force\0")
    process(tree, 23, "/bin/kernel-install\0add\0006.12\0")
    process(tree, 24, "vi\0/etc/dkms\0")
    process(tree, 25, "")
    process(tree, 26, "/bin/sh\0/etc/kernel/postinst.d/dkms\0006.12\0")
    process(tree, 27, "bash\0-c\0dkms status\0")
    process(tree, 0, "/bin/sh\0").link("/proc/self/root", "/")
    assert list(others(tree.host())) == [
        (20, "/bin/bash /usr/sbin/dkms autoinstall"),
        (22, "bash -p /usr/bin/dracut --force"),
        (23, "/bin/kernel-install add 6.12"),
        (26, "/bin/sh /etc/kernel/postinst.d/dkms 6.12"),
    ]


def test_those_of_containers_are_none_of_the_host(tree: Tree) -> None:
    tree.directory("/var/lib/containers/one").link("/proc/self/root", "/")
    process(tree, 20, BUILD, "/var/lib/containers/one")
    process(tree, 30, BUILD)
    assert [number for number, _command in others(tree.host())] == [30]


def test_what_runs_this_process_is_not_waited_for(tree: Tree) -> None:
    process(tree, os.getpid(), "python3\0module\0").file(f"/proc/{os.getpid()}/status", "Name:\tpython3\nPPid:\t20\n")
    process(tree, 20, BUILD).file("/proc/20/status", "Name:\tdkms\nPPid:\t1\n").link("/proc/self/root", "/")
    assert list(others(tree.host())) == []


def test_a_command_line_of_options_alone_is_the_interpreter() -> None:
    assert (program_of(["/bin/sh", "-x"]), program_of([]), program_of([""])) == ("sh", "", "")

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's machine and its playbook, as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "playbooks/demo"
SITE = DEMO / "site.yml"
JUDGE = Path(__file__).with_name("judge.yml")
_ENVIRONMENT = {
    "ANSIBLE_NOCOLOR": "1",
    "ANSIBLE_PIPELINING": "1",
    "ANSIBLE_LOCALHOST_WARNING": "0",
    "ANSIBLE_DEPRECATION_WARNINGS": "0",
    "ANSIBLE_HOST_KEY_CHECKING": "1",
    # An emulated machine among other work may take long to let somebody in.
    "ANSIBLE_TIMEOUT": "120",
    "ANSIBLE_SSH_RETRIES": "3",
}
_INITRAMFS = "dep"
"""Only the modules that the machine needs: building, reading and unpacking all of them takes an emulated machine most of its time."""
_LONGEST_TAIL = 3000


@dataclass(frozen=True)
class Playbooks:
    """Run against the machine ``name``, whose inventory is in ``folder``."""

    name: str
    folder: Path

    def machine(self, *, fresh: bool) -> None:
        """Start the machine on a new disk, or on the one that it has."""
        _finish(self._start([DEMO / "machine.yml"], "localhost,", {"demo_fresh": fresh, "demo_initramfs": _INITRAMFS}))

    def converge(self) -> subprocess.Popen[str]:
        """The running playbook, whose output is to be read."""
        return self._start([SITE], self._inventory, {})

    def judged(self, *following: Path) -> dict[str, t.Any]:
        """What the modules say of the host now, before the following playbooks run.  `failed` is why one of all of them failed."""
        answers = self.folder / "answers.json"
        answers.unlink(missing_ok=True)
        try:
            output, failed = _finish(self._start([JUDGE, *following], self._inventory, {"power_answers": str(answers)})), None
        except HostError as error:
            if not answers.is_file():
                raise
            output, failed = "", str(error)
        found: dict[str, t.Any] = json.loads(answers.read_text(encoding="utf-8"))
        return {**found, "output": output, "failed": failed}

    @property
    def _inventory(self) -> str:
        return str(self.folder / "inventory.json")

    def _start(self, playbooks: Sequence[Path], inventory: str, variables: Mapping[str, t.Any]) -> subprocess.Popen[str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        extra = json.dumps({"demo_name": self.name, "demo_folder": str(self.folder), **variables})
        return subprocess.Popen(
            ["ansible-playbook", "-i", inventory, "-e", extra, *map(str, playbooks)],
            env={**os.environ, **_ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def lines_of(process: subprocess.Popen[str]) -> Iterator[str]:
    """What a playbook prints, as it comes.  Raises HostError with the end of it if the playbook fails."""
    tail = ""
    with process:
        try:
            for line in process.stdout or ():
                tail = (tail + line)[-_LONGEST_TAIL:]
                yield line
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise HostError(f"The playbook ended with {process.returncode}:\n{tail}")


def _finish(process: subprocess.Popen[str]) -> str:
    return "".join(lines_of(process))

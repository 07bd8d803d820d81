# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fleet costs the controller on which nothing has changed: a run of the role on up to 1,000 hosts, each a tree of its own.

Connections are local, so that the hosts' own share is in every figure.  Beside it runs a role that does nothing, and `ping`.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import yaml

from ansible_collections.vfio.variants.plugins.module_utils._core.host import cache_dir
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.report.whole_host import record
from ansible_collections.vfio.variants.tests.bench.nothing_to_do import LOCAL
from ansible_collections.vfio.variants.tests.bench.page import Run
from ansible_collections.vfio.variants.tests.bench.ratios import Ratio
from ansible_collections.vfio.variants.tests.unit.converged_hosts import CLAIM, converged, request

if t.TYPE_CHECKING:
    from collections.abc import Iterator

COUNTS = (100, 300, 1000)
PAIRED, ROUNDS = 100, 3
FORKS = 4
ROLE, SKELETON, PING, RECORD = "role", "skeleton", "ping", "record"
VARIABLES = {"vfio_host_claims": [CLAIM], "vfio_host_drivers": False}
DONE = re.compile(r"^gpu-\d+ +: ok=\d+ +changed=0 +unreachable=0 +failed=0 ", re.MULTILINE)


class Fleet:
    """A folder with trees, inventories of the first few of them, and plays."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for number in range(max(COUNTS)):
            converged(self._root(number))
        for count in (1, *COUNTS):
            hosts = {f"gpu-{number}": {"vfio_host_root": str(self._root(number))} for number in range(count)}
            self._write(f"{count}.yml", {"all": {"hosts": hosts, "vars": {**LOCAL, **VARIABLES}}})
        role = "vfio.variants.vfio_host"
        self._play(ROLE, roles=[role])
        self._play(RECORD, tasks=[{"ansible.builtin.include_role": {"name": role, "tasks_from": "record"}}])
        self._play(PING, tasks=[{"ansible.builtin.ping": {}}])
        self._play(SKELETON, roles=["skeleton"])
        options = {name: {"type": "raw", "description": name} for name in VARIABLES}
        self._write("roles/skeleton/meta/argument_specs.yml", {"argument_specs": {"main": {"options": options}}})
        nothing = [{"ansible.builtin.ping": {}}, {"ansible.builtin.include_tasks": "rest.yml", "when": False}]
        self._write("roles/skeleton/tasks/main.yml", nothing)
        self._write("roles/skeleton/tasks/rest.yml", [{"ansible.builtin.ping": {}}])
        self._record()

    def _root(self, number: int) -> Path:
        return self.folder / "roots" / str(number)

    def _play(self, name: str, **play: object) -> None:
        self._write(f"{name}.yml", [{"hosts": "all", "gather_facts": False, **play}])

    def _write(self, name: str, content: object) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content), encoding="utf-8")

    def _record(self) -> None:
        """The role's last task on the first host, which makes the key; what it does on all others is done in this process."""
        self.run(RECORD, 1)
        key = _key_of(self._root(0))
        time.sleep(2.5)
        for number in range(1, max(COUNTS)):
            said = record(Host(str(self._root(number))), request(), key, check_mode=False)
            if not said["recorded"]:
                raise SystemExit(f"error: there is no record of a host of the fleet: {said['because']}")

    def run(self, name: str, count: int) -> Run:
        """A run on the first hosts; all of them must say that nothing was changed."""
        argv = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", f"{count}.yml", "-f", str(FORKS), f"{name}.yml"]
        settings = {"ANSIBLE_PIPELINING": "1", "ANSIBLE_REMOTE_TMP": str(self.folder / "remote"), "ANSIBLE_NOCOLOR": "1"}
        log, begun = self.folder / "log", time.perf_counter()
        with log.open("w") as out:
            process = subprocess.Popen(
                argv, cwd=self.folder, env={**os.environ, **settings}, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )
            _pid, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said = log.read_text(encoding="utf-8")
        if process.returncode or len(DONE.findall(said)) != count or (name == ROLE and "Apply the claims, unless" in said):
            raise SystemExit(f"error: the play {name} on {count} hosts did something:\n{said[-2000:]}")
        return Run(count, used.ru_utime + used.ru_stime, time.perf_counter() - begun, used.ru_maxrss / 1024)


def _key_of(root: Path) -> str:
    """The key in the record of a tree."""
    (path,) = (path for path in Path(cache_dir.CACHE_DIRECTORY).glob(f"{cache_dir.UNCHANGED}*") if _about(path)[2] == str(root))
    return str(_about(path)[1])


def _about(path: Path) -> list[t.Any]:
    return list(json.loads(path.read_bytes().partition(b"\n")[2])["about"])


def measure(folder: Path) -> Iterator[Ratio | Run]:
    """The runs, for the table of the page, and what has a limit."""
    fleet = Fleet(folder)
    ratios: dict[str, list[tuple[float, float]]] = {PING: [], SKELETON: []}
    for _round in range(ROUNDS):
        other = {name: fleet.run(name, PAIRED) for name in (PING, SKELETON)}
        ours = fleet.run(ROLE, PAIRED)
        for name, beside in other.items():
            ratios[name].append((ours.processor / beside.processor, ours.wall / beside.wall))
    for name, what in ((SKELETON, "a role that does nothing"), (PING, "ping")):
        processor, wall = (statistics.median(column) for column in zip(*ratios[name], strict=True))
        yield Ratio(f"{PAIRED} hosts with nothing to do, in {what} on each", f"{ROUNDS} pairs", processor, wall)
    runs = [fleet.run(ROLE, count) for count in COUNTS]
    yield from runs
    first, last = runs[0], runs[-1]
    yield Ratio(f"seconds for {last.hosts} hosts with nothing to do", f"{FORKS} forks", last.processor, last.wall)
    yield Ratio(f"one of {last.hosts} hosts, in one of {first.hosts}", "with nothing to do", last.each / first.each)
    yield Ratio(f"MiB of the controller's memory for {last.hosts} hosts", f"{first.memory:.0f} for {first.hosts}", last.memory)

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of the role vfio_host takes on a host on which everything is done: against a play with one module that does nothing.

The host is a tree; Ansible, its connection, the role and the module are the real ones.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import typing as t
from pathlib import Path

import yaml

from ansible_collections.vfio.variants.tests.bench.ratios import Ratio
from ansible_collections.vfio.variants.tests.bench.stopwatch import Took, timed
from ansible_collections.vfio.variants.tests.unit.converged_hosts import CLAIM, converged
from ansible_collections.vfio.variants.tests.unit.payloads import MODULES, packed_with, size

if t.TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 7
FLOOR, ROLE, RECORD = "floor", "role", "record"
CORE = "ansible_collections.vfio.variants.plugins.module_utils._core."
BASIC = "ansible.module_utils.basic"
IMPORTS = """
import sys, time
sys.dont_write_bytecode = True
before = time.process_time()
for name in sys.argv[1:]:
    __import__(name)
print(time.process_time() - before)
"""


class Plays:
    """Three plays in a folder: one module that does nothing, the role, and the record that it asks for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        root = folder / "root"
        converged(root)
        variables = {"vfio_host_claims": [CLAIM], "vfio_host_root": str(root)}
        role = {"name": "vfio.variants.vfio_host"}
        record = {"ansible.builtin.include_role": {**role, "tasks_from": "record"}, "vars": {**variables, "vfio_host_drivers": False}}
        self._write(FLOOR, tasks=[{"ansible.builtin.ping": {}}])
        self._write(ROLE, roles=[{"role": role["name"], "vars": {**variables, "vfio_host_drivers": False}}])
        self._write(RECORD, tasks=[record])
        hosts = {"all": {"hosts": {"host": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}}}}
        (folder / "hosts.yml").write_text(yaml.safe_dump(hosts), encoding="utf-8")

    def _write(self, name: str, **play: object) -> None:
        text = yaml.safe_dump([{"hosts": "all", "gather_facts": False, **play}])
        (self.folder / f"{name}.yml").write_text(text, encoding="utf-8")

    def run(self, name: str, **settings: str) -> str:
        argv = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "hosts.yml", f"{name}.yml"]
        env = {**os.environ, "ANSIBLE_REMOTE_TMP": str(self.folder / "remote"), **settings}
        done = subprocess.run(argv, cwd=self.folder, env=env, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            raise SystemExit(f"error: the play {name} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout


def measure(folder: Path) -> Iterator[Ratio]:
    plays = Plays(folder)
    plays.run(RECORD)
    said = plays.run(ROLE)
    if "changed=0" not in said or "Bind the devices" in said:
        raise SystemExit(f"error: the role did not find everything done:\n{said[-2000:]}")
    for pipelining, how in (("1", "with pipelining"), ("0", "without pipelining")):
        yield _paired(plays, pipelining, how)
    yield _bytes(plays)
    yield from _imports()


def _paired(plays: Plays, pipelining: str, how: str) -> Ratio:
    """The median of the ratios of pairs that ran one after the other, each the other way round than the one before."""
    ratios: list[Took] = []
    for number in range(ROUNDS):
        order = (FLOOR, ROLE) if number % 2 else (ROLE, FLOOR)
        took = {name: timed(lambda name=name: plays.run(name, ANSIBLE_PIPELINING=pipelining)) for name in order}  # type: ignore[misc]
        ratios.append(Took(took[ROLE].wall / took[FLOOR].wall, took[ROLE].processor / took[FLOOR].processor))
    name = "a run with nothing to do, in plays of one module that does nothing"
    return Ratio(name, how, statistics.median(one.processor for one in ratios), statistics.median(one.wall for one in ratios))


def _bytes(plays: Plays) -> Ratio:
    kept = {"ANSIBLE_PIPELINING": "0", "ANSIBLE_KEEP_REMOTE_FILES": "1"}
    sent: dict[str, int] = {}
    for name in (FLOOR, ROLE):
        before = set(plays.folder.rglob("AnsiballZ_*.py"))
        plays.run(name, **kept)
        sent[name] = sum(path.stat().st_size for path in set(plays.folder.rglob("AnsiballZ_*.py")) - before)
    name = "bytes that a run with nothing to do sends beyond a module that does nothing"
    return Ratio(name, f"of {sent[ROLE]}", float(sent[ROLE] - sent[FLOOR]))


def _imports() -> Iterator[Ratio]:
    """Compiled each time, as on a host: what comes in an archive has no bytecode."""
    sizes = {path.stem: size(packed_with(path.stem)) for path in MODULES.glob("*.py")}
    largest = max(sizes, key=sizes.__getitem__)
    for module, name in (("unchanged_info", "a run with nothing to do"), (largest, "the largest module")):
        core = [CORE + file.removesuffix(".py").replace("/", ".") for file in sorted(packed_with(module))]
        alone, both = (_import_time(BASIC), _import_time(BASIC, *core))
        yield Ratio(f"imports of {name}, in those of {BASIC}", module, (both - alone) / alone)


def _import_time(*modules: str) -> float:
    argv = [sys.executable, "-X", "pycache_prefix=/nonexistent", "-c", IMPORTS, *modules]
    rounds = (subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout for _round in range(ROUNDS))
    return statistics.median(map(float, rounds))

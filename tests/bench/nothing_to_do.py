# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of the role vfio_host takes on a host on which everything is done: against a play with one module that does nothing.

The host is a tree; Ansible, its connection, the role and the module are the real ones.
"""

from __future__ import annotations

import json
import os
import shutil
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
PEERS = {"hand_written": "five hand-written tasks", "lae_proxmox": "the steps of lae.proxmox"}
"""Playbooks in the folder `peers` that claim the same cards, and what they are."""
PEER_ROUNDS = 5
COLLECTION_MODULES = "ansible_collections.vfio.variants.plugins.modules."
BASIC = "ansible.module_utils.basic"
IMPORTS = """
import sys, time
sys.path.insert(0, sys.argv[1])
before = time.process_time()
for name in sys.argv[2:]:
    __import__(name)
print(time.process_time() - before)
"""


LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}


class Plays:
    """Plays in a folder: one module that does nothing, the role, the record that it asks for, and what peers do."""

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
        for name in PEERS:
            shutil.copy(Path(__file__).with_name("peers") / f"{name}.yml", folder)
        for made in ("default/grub.d", "initramfs-tools", "modprobe.d", "modules-load.d"):
            (folder / "peer/etc" / made).mkdir(parents=True)
        hosts = {"all": {"hosts": {"host": {**LOCAL, "peer_root": str(folder / "peer")}}}}
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

    def exploded(self, module: str) -> Path:
        """Where the files are that Ansible sends for a module, whose request is about a card that is not in this computer."""
        remote = self.folder / f"sent-{module}"
        program, options = str(Path(sys.executable).with_name("ansible")), json.dumps({"request": {"claims": [CLAIM]}})
        argv = [program, "-i", "hosts.yml", "host", "--check", "-m", f"vfio.variants.{module}", "-a", options]
        env = {**os.environ, "ANSIBLE_REMOTE_TMP": str(remote), "ANSIBLE_PIPELINING": "0", "ANSIBLE_KEEP_REMOTE_FILES": "1"}
        done = subprocess.run(argv, cwd=self.folder, env=env, capture_output=True, text=True, timeout=300, check=False)
        sent = next(remote.rglob("AnsiballZ_*.py"), None)
        if sent is None:
            raise SystemExit(f"error: {module} was not sent:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        subprocess.run([sys.executable, str(sent), "explode"], env=env, capture_output=True, check=True, timeout=60)
        return sent.parent / "debug_dir"


def measure(folder: Path) -> Iterator[Ratio]:
    plays = Plays(folder)
    plays.run(RECORD)
    said = plays.run(ROLE)
    if "changed=0" not in said or "Apply the claims, unless" in said:
        raise SystemExit(f"error: the role did not find everything done:\n{said[-2000:]}")
    for pipelining, how in (("1", "with pipelining"), ("0", "without pipelining")):
        yield _paired(plays, pipelining, how)
    yield from _peers(plays)
    yield _bytes(plays)
    yield from _imports(plays)


def _paired(plays: Plays, pipelining: str, how: str) -> Ratio:
    name = "a run with nothing to do, in plays of one module that does nothing"
    took = _median_of_pairs(plays, ROLE, FLOOR, ROUNDS, ANSIBLE_PIPELINING=pipelining)
    return Ratio(name, how, took.processor, took.wall)


def _peers(plays: Plays) -> Iterator[Ratio]:
    """How many times as long a peer takes on a host on which it has done everything."""
    for name, what in PEERS.items():
        plays.run(name)
        said = plays.run(name)
        if "changed=0" not in said:
            raise SystemExit(f"error: {what} did not find everything done:\n{said[-2000:]}")
        took = _median_of_pairs(plays, name, ROLE, PEER_ROUNDS, ANSIBLE_PIPELINING="1")
        yield Ratio(f"{what} with nothing to do, in runs of the role with nothing to do", "with pipelining", took.processor, took.wall)


def _median_of_pairs(plays: Plays, ours: str, other: str, rounds: int, **settings: str) -> Took:
    """The median of the ratios of pairs that ran one after the other, each the other way round than the one before."""
    ratios: list[Took] = []
    for number in range(rounds):
        order = (other, ours) if number % 2 else (ours, other)
        took = {name: timed(lambda name=name: plays.run(name, **settings)) for name in order}  # type: ignore[misc]
        ratios.append(Took(took[ours].wall / took[other].wall, took[ours].processor / took[other].processor))
    return Took(statistics.median(one.wall for one in ratios), statistics.median(one.processor for one in ratios))


def _bytes(plays: Plays) -> Ratio:
    kept = {"ANSIBLE_PIPELINING": "0", "ANSIBLE_KEEP_REMOTE_FILES": "1"}
    sent: dict[str, int] = {}
    for name in (FLOOR, ROLE):
        before = set(plays.folder.rglob("AnsiballZ_*.py"))
        plays.run(name, **kept)
        sent[name] = sum(path.stat().st_size for path in set(plays.folder.rglob("AnsiballZ_*.py")) - before)
    name = "bytes that a run with nothing to do sends beyond a module that does nothing"
    return Ratio(name, f"of {sent[ROLE]}", float(sent[ROLE] - sent[FLOOR]))


def _imports(plays: Plays) -> Iterator[Ratio]:
    """Of what Ansible sends, as a host imports it: ansible-core's part of that is smaller than the controller's, without bytecode."""
    sizes = {path.stem: size(packed_with(path.stem)) for path in MODULES.glob("*.py")}
    largest = max(sizes, key=sizes.__getitem__)
    for module, name in (("unchanged_info", "a run with nothing to do"), (largest, "the largest module")):
        place = plays.exploded(module)
        alone, both = (_import_time(place, BASIC), _import_time(place, BASIC, f"{COLLECTION_MODULES}{module}"))
        how = f"{module}, as it is sent: {(both - alone) * 1000:.0f} ms"
        yield Ratio(f"imports of {name}, in those of {BASIC}", how, (both - alone) / alone)


def _import_time(place: Path, *modules: str) -> float:
    # Nothing is kept of what is compiled here; the standard library has its bytecode, as on a host.
    argv = [sys.executable, "-B", "-c", IMPORTS, str(place), *modules]
    rounds = (subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout for _round in range(ROUNDS))
    return statistics.median(map(float, rounds))

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Binding 64 functions on a running kernel: virtual functions of QEMU's NVMe disk, in a machine that has the programs of others, too."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tarfile
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.tests.bench.page import Pair
from ansible_collections.vfio.variants.tests.bench.ratios import Ratio

if t.TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTIONS, ROUNDS = 64, 3
HERE = Path(__file__).with_name("machine")
CORE = Path(__file__).parents[2] / "plugins/module_utils/_core"
INSIDE = "ansible_collections/vfio/variants/plugins/module_utils/_core"
MODULE, WRITES, LOOP, NOTHING = "device_claim", "writes", "loop", "nothing"
PEERS = ("driverctl", "virsh", "dpdk-devbind")
SECONDS = 1800


class Span(t.NamedTuple):
    """Seconds between two moments."""

    wall: float
    processor: float


class Guest:
    """The machine, from its start to its end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Guest:
        with tarfile.open(self.folder / "core.tar", "w") as archive:
            archive.add(CORE, INSIDE, filter=lambda one: None if one.name.endswith("__pycache__") else one)
        self.play("machine.yml", "localhost,")
        try:
            self.play("prepare.yml", "inventory.json")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.play("machine.yml", "localhost,", "bench_state=absent")

    def play(self, name: str, inventory: str, *more: str, **settings: str) -> str:
        extra = json.dumps({"bench_folder": str(self.folder), "bench_functions": FUNCTIONS})
        words = [word for one in (extra, *more) for word in ("--extra-vars", one)]
        return self._run("ansible-playbook", "--inventory", inventory, *words, str(HERE / name), **settings)

    def _run(self, *argv: str, **settings: str) -> str:
        env = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_SSH_RETRIES": "3", **settings}
        done = subprocess.run(argv, cwd=self.folder, env=env, capture_output=True, text=True, timeout=SECONDS, check=False)
        if done.returncode:
            raise SystemExit(f"error: {argv[0]} failed:\n{done.stdout[-3000:]}{done.stderr[-2000:]}")
        return done.stdout

    def make_functions(self) -> None:
        self.play("claim.yml", "inventory.json", ANSIBLE_KEEP_REMOTE_FILES="1", ANSIBLE_PIPELINING="0")

    def moments(self, way: str, functions: int = FUNCTIONS) -> dict[str, tuple[float, float]]:
        """What the guest's program `measure.py` says of a way to bind all functions, or of what is done before there are any."""
        words = ["ansible", "all", "--inventory", "inventory.json", "--module-name", "ansible.builtin.raw", "--one-line"]
        said = self._run(*words, "--args", f"python3 /root/bench/measure.py {way}")
        answer = json.loads(said[said.index('{"functions"') :].partition("\\")[0].partition("\n")[0])
        if answer.pop("functions") != functions:
            raise SystemExit(f"error: the machine does not have {functions} functions: {said}")
        return {name: (moment[0], moment[1]) for name, moment in answer.items()}


def between(moments: t.Mapping[str, tuple[float, float]], first: str, last: str) -> Span:
    return Span(moments[last][0] - moments[first][0], moments[last][1] - moments[first][1])


def median(spans: t.Sequence[Span]) -> Span:
    return Span(*(statistics.median(column) for column in zip(*spans, strict=True)))


def measure(folder: Path) -> Iterator[Ratio | Pair]:
    with Guest(folder) as guest:
        yield _first_converge(guest)
        yield from _bound(guest)


def measure_functions(folder: Path) -> Iterator[Ratio | Pair]:
    with Guest(folder) as guest:
        yield from _bound(guest)


def measure_first_run(folder: Path) -> Iterator[Ratio]:
    with Guest(folder) as guest:
        yield _first_converge(guest)


def _bound(guest: Guest) -> Iterator[Ratio | Pair]:
    guest.make_functions()
    ways = (LOOP, WRITES, MODULE, NOTHING, *PEERS)
    guest.moments(LOOP)  # What a first time does only once is in none.
    rounds = [{way: guest.moments(way) for way in ways} for _round in range(ROUNDS)]
    loops = [between(one[LOOP], "begun", "ended") for one in rounds]
    written = [between(one[WRITES], "first", "last") for one in rounds]
    apart = {
        what: median([between(one[WRITES], first, last) for one in rounds]).processor
        for what, first, last in (("imports", "begun", "imported"), ("what is read and judged", "imported", "first"))
    }
    how = ", ".join(f"{what} apart: {seconds:.1f} s" for what, seconds in apart.items())
    yield _ratio(f"first to last write for {FUNCTIONS} functions, in a loop of bare writes", how, written, loops)
    whole = {way: [between(one[way], "begun", "ended") for one in rounds] for way in (MODULE, NOTHING, *PEERS)}
    started = f"by a play, whose module that does nothing takes {median(whole[NOTHING]).processor:.1f} s"
    for peer in PEERS:
        # A play starts it by a module of its own.
        theirs = [Span(*map(sum, zip(one, other, strict=True))) for one, other in zip(whole[peer], whole[NOTHING], strict=True)]
        yield _ratio(f"{FUNCTIONS} functions by {peer}, in runs of {MODULE}", started, theirs, whole[MODULE])
        ours, alone = median(whole[MODULE]).processor, median(whole[peer]).processor
        yield Pair(f"{MODULE} of {FUNCTIONS} functions, a machine's", ours * 1000, f"{peer} without Ansible", alone * 1000)
    yield Pair(f"first to last write for {FUNCTIONS} functions", median(written).processor * 1000, "a loop", median(loops).processor * 1000)


def _first_converge(guest: Guest) -> Ratio:
    """Once: what a first run does is not to be done twice.  Of the guest's processors; by the clock Ansible's own part is in it.

    On a machine that nothing was done to.  The commands are run when it is so again, but for the policy, which makes their image the same.
    """
    before = guest.moments("now", 0)["now"]
    guest.play("converge.yml", "inventory.json", ANSIBLE_PIPELINING="1")
    after = guest.moments("now", 0)["now"]
    ours, commands = between({"before": before, "after": after}, "before", "after"), between(guest.moments("commands", 0), "begun", "ended")
    name = "a first run with nothing to build, in the commands that it must run"
    how = f"udevadm, modprobe, three writes, update-initramfs: {commands.processor:.1f} s, {commands.wall:.1f} by the clock"
    return Ratio(name, how, ours.processor / commands.processor, ours.wall / commands.wall)


def _ratio(name: str, how: str, ours: t.Sequence[Span], theirs: t.Sequence[Span]) -> Ratio:
    processor = statistics.median(one.processor / other.processor for one, other in zip(ours, theirs, strict=True))
    return Ratio(name, how, processor, statistics.median(one.wall / other.wall for one, other in zip(ours, theirs, strict=True)))

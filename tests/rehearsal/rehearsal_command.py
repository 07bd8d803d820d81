# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the comparison of rehearsals with boots."""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import time
import typing as t
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import rehearsal_comparison
import rehearsal_records
import rehearsal_table
import world_generator
from configuration import FLOWS, SERIES
from emulated_windows import resources
from forked import in_processes
from kernel import Kernel
from observation import BootError
from rehearsal_image import DiskImages
from rehearsal_records import Function, RehearsedHost
from rehearsed_host import Rehearsals, Steps
from world_boot import HOLD, WorldGuests
from world_configuration import World
from world_records import Seen
from world_tree import WorldTrees

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.command_line import COUNTED_ALONE
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.comparison import ABSENT
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.rehearsal import RehearsalSettings
from ansible_collections.vfio.variants.tests.exit_codes import exit_code

OBSERVED = Path(__file__).resolve().parent / "observed" / "rehearsals.jsonl"
_NICE = 5
_TIMEOUT = 900
_MEMORY = 1 << 30
_LONGEST_PROBLEM = 300
#: The share of hosts that a draw may make unbootable, as with a module that the kernel has not, or rules that bind and unbind without end.
_MOST_LEFT_OUT = 0.1


def parser() -> argparse.ArgumentParser:
    known = argparse.ArgumentParser(prog="tests/rehearsal/run", description="Compare rehearsals of whole hosts with boots of them.")
    known.add_argument("--seed", type=int, default=1, help="the first host's seed; the others follow (1)")
    known.add_argument("--count", type=int, default=4, help="how many hosts (4); those that were done before are not done again")
    known.add_argument("--series", nargs="+", choices=SERIES, default=list(SERIES), help="of these only hosts with such kernels")
    known.add_argument("--flow", choices=FLOWS, help="of these only hosts with such an initramfs")
    known.add_argument("--jobs", type=int, default=1, help="hosts at a time (1)")
    known.add_argument("--unified", action="store_true", help="hosts that boot a unified kernel image by UEFI")
    known.add_argument("--again", action="store_true", help="do also those that were done before")
    known.add_argument("--hold", type=int, default=HOLD, help=f"seconds that a rehearsal waits for what starts late ({HOLD})")
    known.add_argument("--counted", action="store_true", help="rehearse by a clock that counts instructions: who waits takes no time")
    known.add_argument("--keep", action="store_true", help="keep disks, consoles and reports below the cache")
    known.add_argument("--table", type=Path, metavar="PAGE", help="write what is known of all hosts into this page")
    return known


def main(arguments: Sequence[str]) -> int:
    options = parser().parse_args(arguments)
    os.nice(_NICE)
    return exit_code(lambda: _compared(options))


def _compared(options: argparse.Namespace) -> int:
    left_out = _run(options)
    known = rehearsal_records.read(OBSERVED)
    if options.table:
        rehearsal_table.write(options.table, list(known.values()))
    hosts = [known[world.name] for world in _drawn(options) if world.name in known]
    for line in (line for host in hosts for line in rehearsal_comparison.disagreements(host)):
        say(f"FAILED: {line}")
    if len(left_out) > _MOST_LEFT_OUT * (len(hosts) + len(left_out)):
        say(f"FAILED: too many hosts could not be compared: {', '.join(left_out)}")
        return 1
    bad = sum(bool(rehearsal_comparison.disagreements(host)) for host in hosts)
    say(f"{len(hosts) - bad} passed, {bad} failed")
    return 1 if bad else 0


def _drawn(options: argparse.Namespace) -> list[World]:
    drawn = world_generator.draw_many(options.seed, options.count, unified=options.unified)
    return [world for world in drawn if world.series in options.series and options.flow in (None, world.flow)]


def _run(options: argparse.Namespace) -> list[str]:
    """The hosts that could not be compared, as there is no boot of theirs: nothing can be said about a rehearsal of these."""
    known = rehearsal_records.read(OBSERVED)
    wanted = [world for world in _drawn(options) if options.again or world.name not in known]
    if not wanted:
        return []
    cache = Cache.at(None)
    guests = WorldGuests.prepare(sorted({world.series for world in wanted}), cache, say)
    left_out = []
    with tempfile.TemporaryDirectory(prefix="rehearsals-", dir=cache.root / "world") as place:
        comparisons = _Comparisons.of(guests, Path(place), cache, options)
        with contextlib.closing(in_processes(comparisons.host, [[world] for world in wanted], options.jobs)) as hosts:
            for number, (host,) in enumerate(hosts, start=1):
                if isinstance(host, BootError):
                    left_out.append(wanted[number - 1].name)
                    say(f"LEFT OUT: {wanted[number - 1].name} did not boot to its end: {str(host)[-_LONGEST_PROBLEM:]}")
                    continue
                known = {**rehearsal_records.read(OBSERVED), host.name: host}
                rehearsal_records.write(OBSERVED, known)
                say(f"{number} of {len(wanted)}: {_sentence(host)}")
    return left_out


@dataclass(frozen=True)
class _Comparisons:
    guests: WorldGuests
    place: Path
    images: DiskImages
    settings: RehearsalSettings
    windows: t.Mapping[str, str]

    @classmethod
    def of(cls, guests: WorldGuests, place: Path, cache: Cache, options: argparse.Namespace) -> _Comparisons:
        settings = RehearsalSettings(
            memory=_MEMORY,
            cpus=1,
            forks=options.jobs,
            repeat=1,
            hold=options.hold,
            timeout=_TIMEOUT,
            accelerator=COUNTED_ALONE if options.counted else "auto",
            keep=options.keep,
            mirror=None,
        )
        return cls(guests, place, DiskImages(guests.kernels, cache, say), settings, resources(guests.qemu))

    def host(self, world: World) -> RehearsedHost | BootError:
        """First rehearsed, then booted."""
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="of-one-", dir=self.place) as name:
            rehearsals = Rehearsals(WorldTrees(self.guests.kernels, Path(name)), self.images, self.settings, self.windows)
            steps = Steps(world.name)
            try:
                result = rehearsals.result(world, steps)
            except HostError as error:
                result = {"problem": str(error)[:_LONGEST_PROBLEM], "different": [], "kernels": []}
            seconds = time.monotonic() - start
            steps("booting it for real")
            try:
                seen, _report = self.guests.boot(world, Path(name))
            except BootError as error:
                return error
            except HostError as error:
                # A draw may name a module that this kernel does not have; the other hosts are booted all the same.
                return BootError(f"{world.name} cannot be built: {error}")
            finally:
                steps.end()
                say(f"{world.name}: {steps.text()}")
        return compared(world, self.guests.kernels[world.series], result, seen, seconds)


def compared(world: World, kernel: Kernel, result: dict[str, t.Any], seen: Seen, seconds: float) -> RehearsedHost:
    rows = [row for one in result["kernels"] for row in one["devices"]]
    said = {str(row["address"]) for row in rows}
    functions = [_function(row, seen.owners.get(str(row["address"]))) for row in rows if row["address"] in seen.owners]
    # What a program of the host has made in its boot.
    functions += [Function(address, None, None, ABSENT, (), owner) for address, owner in seen.owners.items() if address not in said]
    return RehearsedHost(
        name=world.name,
        series=world.series,
        release=kernel.release,
        flow=world.flow,
        unified=world.unified,
        planted=tuple(sorted({one.mechanism for one in world.planted})),
        functions=tuple(sorted(functions, key=lambda one: one.address)),
        different=tuple(result["different"]),
        problem=str(result.get("problem", "")),
        rehearsal_seconds=round(seconds, 1),
        boot_seconds=seen.seconds,
    )


def _function(row: dict[str, t.Any], real: str | None) -> Function:
    outcomes = tuple(one["driver"] for one in row["outcomes"])
    return Function(row["address"], row["certainty"], row["predicted"], row["result"], outcomes, real)


def _sentence(host: RehearsedHost) -> str:
    count = rehearsal_comparison.counts([host])
    found = ", ".join(f"{count[one.value]} {one.value}" for one in rehearsal_comparison.Result if count[one.value])
    times = f"rehearsed in {host.rehearsal_seconds:.0f} s, booted in {host.boot_seconds:.0f} s"
    return f"{host.name} with Linux {host.series}: {found}{f'; {host.problem}' if host.problem else ''} ({times})"


def say(line: str) -> None:
    print(line, flush=True)

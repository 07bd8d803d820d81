# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the comparison of whole hosts."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import remedies
import remedies_kept
import world_generator
import world_hosts
import world_report
import world_table
from configuration import SERIES
from host_trees import in_memory
from observation import BootError
from world_comparison import JudgedHost
from world_records import Record, Records
from world_remedies import Remedies
from world_replay import Replay
from world_tree import WorldTrees

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache, write_atomic
from ansible_collections.vfio.variants.tests.exit_codes import exit_code
from ansible_collections.vfio.variants.tests.unit.test_changes_of_hosts import HOSTS as HOSTS_OF_TESTS

OBSERVED = Path(__file__).resolve().parent / "observed"
BOOTS, HOSTS = OBSERVED / "boots.jsonl.xz", OBSERVED / world_hosts.NAME
_NICE = 12
_LONGEST_REASON = 2000


def parser() -> argparse.ArgumentParser:
    known = argparse.ArgumentParser(prog="tests/world/run", description="Compare predictions for whole hosts with boots of them.")
    known.add_argument("--boot", action="store_true", help="boot hosts and keep what was seen; those that were booted are left out")
    known.add_argument("--seed", type=int, default=1, help="the first host's seed; the others follow (1)")
    known.add_argument("--count", type=int, default=20, help="how many hosts (20)")
    known.add_argument("--series", nargs="+", choices=SERIES, default=list(SERIES), help="with --replay: only these kernels")
    known.add_argument("--jobs", type=int, default=2, help="guests, or processes that judge, at a time (2)")
    known.add_argument("--record", action="store_true", help="write all boots that were seen here into the tree")
    known.add_argument("--hosts", action="store_true", help="with --record: write the hosts' roots, too")
    known.add_argument("--replay", action="store_true", help="judge the recorded boots, booting nothing")
    known.add_argument("--remedies", action="store_true", help="do what is suggested for the recorded hosts, and judge it")
    known.add_argument("--minutes", type=float, metavar="N", help="with --remedies: begin no host after this; the next run goes on there")
    known.add_argument("--sample", type=int, default=0, metavar="N", help="with --replay or --remedies: only N of them, evenly chosen")
    known.add_argument("--names", nargs="+", default=[], metavar="NAME", help="with --replay or --remedies: only these hosts")
    known.add_argument("--disagreements", type=Path, metavar="FILE", help="with --replay: write those into FILE")
    known.add_argument("--answers", type=Path, metavar="FILE", help="with --replay: write what is predicted into FILE")
    known.add_argument("--table", type=Path, metavar="PAGE", help="with --replay: write the share of unknown answers into this page")
    known.add_argument("--show", metavar="NAME", help="show a recorded host's files")
    known.add_argument("--tree", type=Path, metavar="FOLDER", help="with --show: lay the host out below this folder")
    return known


def main(arguments: Sequence[str]) -> int:
    known = parser()
    options = known.parse_args(arguments)
    asked = {_show: options.show, _boot: options.boot or options.record, _replay: options.replay, _remedies: options.remedies}
    work = next((one for one, is_asked in asked.items() if is_asked), None)
    if work is None:
        known.error("one of --boot, --record, --replay, --remedies and --show is needed")
    return exit_code(lambda: work(options))


def _boot(options: argparse.Namespace) -> int:
    # Who judges what is recorded has nothing that builds and boots guests.
    import world_guests
    from world_boot import WorldGuests

    os.nice(_NICE)
    cache = Cache.at(None)
    journal = Records(cache.root / "world" / f"boots-{world_guests.digest()}.jsonl")
    failed = 0
    if options.boot:
        guests = WorldGuests.prepare(SERIES, cache, say)
        observed = Records(BOOTS)
        drawn = world_generator.draw_many(options.seed, options.count)
        wanted = [world for world in drawn if journal.find(world) is None and observed.find(world) is None]
        say(f"{len(drawn) - len(wanted)} of {len(drawn)} hosts were booted before")
        for number, (world, seen) in enumerate(guests.boot_many(wanted, options.jobs), start=1):
            if isinstance(seen, BootError):
                failed += 1
                say(f"FAILED: {world.name} did not boot to its end: {str(seen)[:_LONGEST_REASON]}")
                continue
            journal.add(Record(world, seen))
            say(f"{number} of {len(wanted)}: {world.name} with Linux {world.series}: {seen.seconds:.0f} s")
        if options.hosts or not HOSTS.is_file():
            world_hosts.write(HOSTS, guests.kernels.values())
    if options.record:
        say(f"{journal.write(BOOTS)} hosts are in {BOOTS}")
    return 1 if failed else 0


def _records(options: argparse.Namespace) -> list[Record]:
    if not BOOTS.is_file():
        raise HostError(f"There is no {BOOTS}, whose boots are to be judged; --boot and --record write such a file.")
    known = [record for record in Records(BOOTS).all() if record.world.series in options.series]
    if options.names:
        known = [record for record in known if record.world.name in options.names]
    if options.sample and len(known) > options.sample:
        known = [known[number * len(known) // options.sample] for number in range(options.sample)]
    if not known:
        raise HostError("No recorded boot is like that.")
    return known


def _replay(options: argparse.Namespace) -> int:
    records = _records(options)
    with tempfile.TemporaryDirectory(prefix="world-", dir=in_memory()) as name:
        trees = WorldTrees(world_hosts.read(HOSTS, Path(name) / "hosts"), Path(name))
        judged = Replay(trees, options.jobs).judged(records)
    lines = [line for host in judged for line in world_report.disagreements(host)]
    if options.disagreements:
        write_atomic(options.disagreements, "".join(f"{line}\n" for line in lines))
    else:
        say("\n".join(lines))
    if options.answers:
        write_atomic(options.answers, world_report.answers(judged))
    if options.table:
        world_table.write(options.table, judged)
    return _end(judged)


def _remedies(options: argparse.Namespace) -> int:
    worlds = [record.world for record in _records(options)]
    kept = remedies_kept.open_kept(Cache.at(None).root / "world" / "remedies", BOOTS, options.minutes, say)
    with tempfile.TemporaryDirectory(prefix="world-", dir=in_memory()) as name:
        trees = WorldTrees(world_hosts.read(HOSTS, Path(name) / "hosts"), Path(name))
        described = () if options.names or options.sample else tuple(HOSTS_OF_TESTS)
        return remedies.end(list(Remedies(trees, options.jobs, kept).judged(worlds, described)), say)


def _end(judged: Sequence[JudgedHost]) -> int:
    for line in (*world_report.mechanisms(judged), *world_report.summary(judged)):
        say(line)
    bad = sum(host.is_bad for host in judged)
    say(f"{len(judged) - bad} passed, {bad} failed")
    return 1 if bad else 0


def _show(options: argparse.Namespace) -> int:
    found = [record for record in Records(BOOTS).all() if record.world.name == options.show]
    if not found:
        raise HostError(f"No recorded host has the name {options.show}.")
    for line in world_report.as_files(found[0].world):
        say(line)
    for address, owner in sorted(found[0].seen.owners.items()):
        say(f"{address}  {world_report.shown(owner)}")
    if options.tree:
        with tempfile.TemporaryDirectory(prefix="world-") as name:
            trees = WorldTrees(world_hosts.read(HOSTS, Path(name) / "hosts"), Path(name))
            say(str(trees.lay_out(found[0].world, options.tree)))
    return 0


def say(line: str) -> None:
    print(line, flush=True)

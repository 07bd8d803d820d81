# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the comparison."""

from __future__ import annotations

import argparse
import tempfile
import typing as t
from collections.abc import Iterable, Sequence
from pathlib import Path

import generator
import mutants
import named
import policies
import recorded_hosts
import remedies
import remedies_kept
import report
import table
import udev_answers
from comparison import Comparison
from config_builder import Case
from configuration import SERIES
from host_trees import HostTrees, in_memory
from kernel import Kernel
from mutations import MUTATIONS
from records import Corpus

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache, write_atomic
from ansible_collections.vfio.variants.tests.exit_codes import exit_code

Drawn = t.TypeVar("Drawn")
HERE = Path(__file__).resolve().parent
OBSERVED = HERE / "observed" / "boots.jsonl.xz"
POLICIES = HERE / "observed" / "policies.jsonl.xz"
CATCHERS = HERE / "observed" / "catchers.json"
DRAWN = 50
#: How many boots fit into a run of every test.
SAMPLE = 24
#: Of so many policies one is booted with the word that switches it off, too.
SWITCHED_OFF = 3
# Of every drawn run this share are corner cases with names.
NAMED_SHARE = 5


def parser() -> argparse.ArgumentParser:
    known = argparse.ArgumentParser(prog="tests/forecast/run", description="Compare forecasts with boots.")
    known.add_argument("--count", type=int, help=f"how many configurations ({DRAWN}; with --sample {SAMPLE})")
    known.add_argument("--seed", type=int, default=1000, help="the first one's seed; the others follow (1000)")
    known.add_argument("--series", nargs="+", choices=SERIES, default=list(SERIES), help="only these kernels")
    known.add_argument("--named", nargs="*", metavar="WORDS", help="only corner cases, those whose names hold WORDS; all without any")
    known.add_argument("--again", action="store_true", help="boot also what was booted before")
    known.add_argument("--sample", action="store_true", help=f"--again, and {SAMPLE} configurations")
    known.add_argument("--jobs", type=int, default=2, help="guests at a time (2)")
    known.add_argument("--races", type=int, default=0, metavar="N", help="boot up to N times more to show that a race is one")
    known.add_argument("--record", type=Path, metavar="FILE", help="write every boot that was ever seen into FILE")
    known.add_argument("--replay", nargs="?", type=Path, const=OBSERVED, metavar="FILE", help="judge the boots of FILE, booting nothing")
    known.add_argument(
        "--mutations", nargs="?", type=Path, const=OBSERVED, metavar="FILE", help="break each rule; FILE's boots must notice"
    )
    known.add_argument(
        "--policies",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="what boot_policy accepts and refuses, judged by the boots of FILEs, booting nothing; with --record boot COUNT policies",
    )
    known.add_argument(
        "--remedies",
        nargs="?",
        type=Path,
        const=OBSERVED,
        metavar="FILE",
        help="do what is suggested for the hosts of FILE, and judge it",
    )
    known.add_argument("--every", type=int, default=1, metavar="N", help="with --remedies, --policies, --mutations: only every Nth (1)")
    known.add_argument("--first", type=int, default=0, metavar="N", help="with --every: begin at this one, modulo --every (0)")
    known.add_argument("--minutes", type=float, metavar="N", help="with --remedies: begin no host after N minutes; the next run goes on")
    known.add_argument("--rewrite", action="store_true", help="with --mutations: write down which boots noticed")
    known.add_argument(
        "--table", type=Path, metavar="FILE", help="write the counts of all boots of --replay, or that were ever seen here, into FILE"
    )
    known.add_argument("--answers", type=Path, metavar="FILE", help="with --replay: write what is forecast for each device into FILE")
    known.add_argument("--quick", action="store_true", help="stop at the first disagreement")
    return known


def main(arguments: Sequence[str]) -> int:
    known = parser()
    options = known.parse_args(arguments)
    if (options.replay or options.mutations) and options.policies is not None:
        known.error("--policies goes with neither --replay nor --mutations")
    if (options.replay or options.mutations) and (options.record or options.races):
        known.error("--replay and --mutations boot nothing: they go with neither --record nor --races")
    if options.every < 1 or options.first < 0:
        known.error("--every is 1 or more, and --first 0 or more")
    if options.rewrite and options.every > 1:
        known.error("--rewrite goes with all mutations, not with --every")
    options.again |= options.sample
    if options.count is None:
        options.count = SAMPLE if options.sample else DRAWN
    return exit_code(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    if options.policies is not None:
        return _policies(options)
    of_record = bool(options.replay or options.mutations or options.remedies)
    with tempfile.TemporaryDirectory(prefix="forecast-", dir=in_memory() if of_record else None) as name:
        comparison = (_of_record if of_record else _with_guests)(options, Path(name))
        if options.mutations:
            return mutants.check(comparison, CATCHERS, say, _part_of(options, MUTATIONS), options.rewrite)
        if options.remedies:
            cases = _part_of(options, _known_cases(options, comparison.corpus))
            kept = remedies_kept.open_kept(Cache.at(None).root / "forecast" / "remedies", options.remedies, options.minutes, say)
            return remedies.end(list(remedies.judge_all(comparison, cases, kept)), say)
        return _compare(options, comparison)


def _of_record(options: argparse.Namespace, folder: Path) -> Comparison:
    """Builds, fetches and boots nothing: all comes from the file of boots and the hosts beside it."""
    corpus = Corpus.known(options.replay or options.mutations or options.remedies)
    place = recorded_hosts.beside(corpus.path)
    kernels = recorded_hosts.read(place, folder / "hosts")
    recorded_hosts.require_all(place, kernels, [case.configuration for case in _known_cases(options, corpus)])
    trees = HostTrees(kernels.__getitem__, folder)
    return Comparison(trees, corpus, say, parallel=options.jobs)


def _policies(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="forecast-", dir=None if options.record else in_memory()) as name:
        if options.record:
            return _record_policies(options, _with_guests(options, Path(name)))
        files = options.policies or (OBSERVED, POLICIES)
        kernels = recorded_hosts.read(recorded_hosts.beside(files[0]), Path(name) / "hosts")
        trees = HostTrees(kernels.__getitem__, Path(name))
        found: list[policies.Judged] = []
        for file in files:
            comparison = Comparison(trees, Corpus.known(file), say, parallel=options.jobs)
            cases = [case for case in _known_cases(options, comparison.corpus) if policies.has_policy(case.configuration)]
            found += policies.judge_all(comparison, _part_of(options, cases))
    return policies.end(found, {} if options.policies else policies.least(options.every), say)


def _record_policies(options: argparse.Namespace, comparison: Comparison) -> int:
    """Boots hosts with what is planned for them, accepted or not, and keeps what was seen."""
    drawn = (policies.draw(comparison, seed, options.series) for seed in range(options.seed, options.seed + options.count))
    planned = enumerate(case for case in drawn if case is not None)
    cases = [one for number, case in planned for one in ((case,) if number % SWITCHED_OFF else (case, policies.off(case)))]
    results = _shown(options, comparison.run(cases))
    kept = Corpus(options.record)
    for case in cases:
        for record in comparison.corpus.variations(case):
            kept.keep(record)
    kept.write(options.record)
    say(f"{len(kept.cases())} policies are in {options.record}")
    return report.end(results, len(cases) - len(results), say)


def _with_guests(options: argparse.Namespace, folder: Path) -> Comparison:
    # Nobody who judges what is recorded has what builds and boots guests.
    from guest_pool import GuestPool

    pool = GuestPool()
    ready = list(pool.prepare(SERIES if options.record else options.series))
    options.series = options.series if options.record else ready
    _ask_udev(pool.kernel(one) for one in ready)
    corpus = Corpus(Cache.at(None).root / "forecast" / f"boots-{pool.digest()}.jsonl")
    return Comparison(HostTrees(pool.kernel, folder), corpus, say, pool, options.jobs, options.races)


def _ask_udev(kernels: Iterable[Kernel]) -> None:
    """What is recorded of udev's grammar, of the guests' own udev; HostError where that says something else."""
    for kernel in {kernel.suite: kernel for kernel in kernels}.values():
        with tempfile.TemporaryDirectory(prefix="udev-") as scratch:
            udev = udev_answers.Udev.of(kernel.base, Path(scratch))
            wrong = udev_answers.differences(udev)
            if wrong:
                raise HostError("\n".join(wrong), "Ask again with tests/forecast/udev_answers.py, and follow it in the core's room udev.")
            say(f"udev {udev.version} answers {len(udev_answers.recorded())} texts of rules as recorded")


def _compare(options: argparse.Namespace, comparison: Comparison) -> int:
    if options.record:
        _record(options.record, comparison, SERIES)
    if options.replay or options.table:
        results = _shown(options, comparison.replay(_known_cases(options, comparison.corpus)))
        if options.table:
            table.write(options.table, results)
        if options.answers:
            write_atomic(options.answers, report.answers(results))
        return report.end(results, 0, say)
    if options.record:
        return 0
    cases = _cases(options)
    results = _shown(options, comparison.run(cases, options.again))
    missing = 0 if options.quick else len(cases) - len(results)
    return report.end(comparison.show_races(results) if options.races else results, missing, say)


def _shown(options: argparse.Namespace, results: Iterable[table.Result]) -> list[table.Result]:
    shown = []
    for result in results:
        shown.append(result)
        if result.is_wrong:
            say("\n".join(report.disagreement(result)))
            if options.quick:
                break
    return shown


def _part_of(options: argparse.Namespace, known: Sequence[Drawn]) -> Sequence[Drawn]:
    """Those that --every and --first choose."""
    return known[options.first % options.every :: options.every]


def _known_cases(options: argparse.Namespace, corpus: Corpus) -> list[Case]:
    """The cases of the corpus that are asked for."""
    known = [case for case in corpus.cases() if case.configuration.series in options.series]
    return [case for case in known if all(word in case.configuration.name for word in options.named or ())]


def _cases(options: argparse.Namespace) -> list[Case]:
    corner = named.named(options.series)
    if options.named is not None:
        return [case for case in corner if all(word in case.configuration.name for word in options.named)]
    # Every seed brings some corner cases, too; over the seeds all of them have their turn.
    share = min(options.count // NAMED_SHARE, len(named.CORNERS))
    first = options.seed * share % len(corner)
    chosen = (corner * 2)[first : first + share]
    return [*chosen, *generator.draw_many(options.seed, options.count - len(chosen), options.series)]


def _record(path: Path, comparison: Comparison, series: Iterable[str]) -> None:
    recorded_hosts.write(recorded_hosts.beside(path), [comparison.trees.kernel_of(one) for one in series])
    comparison.corpus.write(path)
    say(f"{len(Corpus(path).cases())} configurations are in {path}, their hosts in {recorded_hosts.beside(path)}")


def say(line: str) -> None:
    print(line, flush=True)

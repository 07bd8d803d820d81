# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the comparison."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import generator
import mutants
import named
import report
import table
from comparison import Comparison
from configuration import SERIES
from draft import Case
from records import Corpus
from rig import Rig

from ansible_collections.vfio.variants.plugins.module_utils._core.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.unavailable import EXIT_STATUS, ArchiveUnavailableError

HERE = Path(__file__).resolve().parent
OBSERVED = HERE / "observed" / "boots.jsonl.xz"
CATCHERS = HERE / "observed" / "catchers.json"
# Of every drawn run this share are corner cases with names.
NAMED_SHARE = 5


def parser() -> argparse.ArgumentParser:
    known = argparse.ArgumentParser(prog="tests/forecast/run", description="Compare forecasts with boots.")
    known.add_argument("--count", type=int, default=50, help="how many configurations (50)")
    known.add_argument("--seed", type=int, default=1000, help="the first one's seed; the others follow (1000)")
    known.add_argument("--series", nargs="+", choices=SERIES, default=list(SERIES), help="only these kernels")
    known.add_argument("--named", nargs="*", metavar="WORDS", help="only corner cases, those whose names hold WORDS; all without any")
    known.add_argument("--jobs", type=int, default=2, help="guests at a time (2)")
    known.add_argument("--races", type=int, default=0, metavar="N", help="boot up to N times more to show that a race is one")
    known.add_argument("--record", type=Path, metavar="FILE", help="write every boot that was ever seen into FILE")
    known.add_argument("--replay", nargs="?", type=Path, const=OBSERVED, metavar="FILE", help="judge the boots of FILE, booting nothing")
    known.add_argument(
        "--mutations", nargs="?", type=Path, const=OBSERVED, metavar="FILE", help="break each rule; FILE's boots must notice"
    )
    known.add_argument("--rewrite", action="store_true", help="with --mutations: write down which boots noticed")
    known.add_argument(
        "--table", type=Path, metavar="FILE", help="write the counts of all boots of --replay, or that were ever seen here, into FILE"
    )
    known.add_argument("--quick", action="store_true", help="stop at the first disagreement")
    return known


def main(arguments: Sequence[str]) -> int:
    options = parser().parse_args(arguments)
    try:
        return _run(options)
    except ArchiveUnavailableError as error:
        say("\n".join([*error.lines(), "0 passed, 0 failed"]))
        return EXIT_STATUS
    except HostError as error:
        say(f"FAILED: {error}")
        return 1


def _run(options: argparse.Namespace) -> int:
    rig = Rig()
    options.series = list(rig.prepare(options.series))
    corpus = Corpus(_corpus_path(options, rig))
    comparison = Comparison(rig, corpus, say, options.jobs, options.races)
    if options.mutations:
        return mutants.check(comparison, CATCHERS, say, options.rewrite)
    if options.table or options.record:
        return _write(options, comparison)
    results = []
    for result in comparison.replay(corpus.cases()) if options.replay else comparison.run(_cases(options)):
        results.append(result)
        if result.is_wrong:
            say("\n".join(report.disagreement(result)))
            if options.quick:
                break
    return _end(comparison.show_races(results) if options.races else results)


def _cases(options: argparse.Namespace) -> list[Case]:
    corner = named.named(options.series)
    if options.named is not None:
        return [case for case in corner if all(word in case.configuration.name for word in options.named)]
    # Every seed brings some corner cases, too; over the seeds all of them have their turn.
    share = min(options.count // NAMED_SHARE, len(named.CORNERS))
    first = options.seed * share % len(corner)
    chosen = (corner * 2)[first : first + share]
    return [*chosen, *generator.draw_many(options.seed, options.count - len(chosen), options.series)]


def _corpus_path(options: argparse.Namespace, rig: Rig) -> Path:
    asked: Path | None = options.replay or options.mutations
    return asked or Cache.at(None).root / "forecast" / f"boots-{rig.digest()}.jsonl"


def _write(options: argparse.Namespace, comparison: Comparison) -> int:
    if options.record:
        comparison.corpus.write(options.record)
        say(f"{len(comparison.corpus.cases())} configurations are in {options.record}")
    if options.table:
        results = list(comparison.replay(comparison.corpus.cases()))
        table.write(options.table, results)
        return _end(results)
    return 0


def _end(results: Sequence[table.Result]) -> int:
    for line in report.summary(results):
        say(line)
    failed = list(report.failures(results))
    for line in failed:
        say(f"FAILED: {line}")
    passed = sum(not result.is_wrong for result in results)
    say(f"{passed} passed, {len(results) - passed or len(failed)} failed")
    return 1 if failed else 0


def say(line: str) -> None:
    print(line, flush=True)

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the fuzzer and of the two campaigns with drawn inputs."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.vfio.variants.tests.exit_codes import ended_by_exception
from ansible_collections.vfio.variants.tests.fuzz import corpus_files as corpus
from ansible_collections.vfio.variants.tests.fuzz import engine, hostile_trees, option_sets, report
from ansible_collections.vfio.variants.tests.fuzz.progress import Count, Progress
from ansible_collections.vfio.variants.tests.power_cuts.state import code

SECONDS = 600
SETS, TREES = 2000, 300


def parser() -> argparse.ArgumentParser:
    known = argparse.ArgumentParser(prog="tests/fuzz/run", description="Every parser and every option, with what no one writes on purpose.")
    known.add_argument("--seconds", type=int, default=SECONDS, help=f"for all parsers together ({SECONDS}); 0 leaves them out")
    known.add_argument("--target", nargs="+", metavar="NAME", help="only these parsers")
    known.add_argument("--options", type=int, default=SETS, metavar="COUNT", help=f"sets of options for all modules ({SETS})")
    known.add_argument("--trees", type=int, default=TREES, metavar="COUNT", help=f"hosts with hostile files ({TREES})")
    known.add_argument("--seed", type=int, default=1, help="what draws all of them (1)")
    known.add_argument("--keep", action="store_true", help="add what is found to the corpus")
    known.add_argument("--work", type=Path, metavar="FOLDER", help="where inputs, logs and how far it came stay")
    known.add_argument("--table", type=Path, metavar="FILE", help="write the figures into FILE, between their two marks")
    known.add_argument("--list", action="store_true", help="show the parsers' names")
    return known


def main(arguments: Sequence[str]) -> int:
    options = parser().parse_args(arguments)
    # Leaving by the way of an exception removes the scratch folder.
    with ended_by_exception(signal.SIGTERM), tempfile.TemporaryDirectory(prefix="vfio-variants-fuzz-") as scratch:
        return _run(options, options.work or Path(scratch))


def _run(options: argparse.Namespace, folder: Path) -> int:
    figures = report.Figures(options.seed)
    if options.seconds or options.list:
        try:
            targets = engine.instrumented()
        except ImportError as error:
            print(f"FAILED: atheris is missing: {error}", file=sys.stderr)
            return 2
        if options.list:
            print("\n".join(targets))
            return 0
        _fuzz(options, folder, targets, figures)
    kept = options.work / "progress.json" if options.work else None
    progress = Progress(kept, f"{code()} {options.seed}")
    for name, campaign, count in (("options", option_sets, options.options), ("trees", hostile_trees, options.trees)):
        if count:
            faults = campaign.run(Count(progress, name, count), options.seed, say)
            figures.add(name, count, faults)
    if options.table:
        report.write(options.table, figures)
    say(figures.sentence())
    print(f"{figures.passed} passed, {figures.failed} failed")
    return 1 if figures.failed else 0


def _fuzz(options: argparse.Namespace, folder: Path, targets: engine.Targets, figures: report.Figures) -> None:
    names = options.target or list(targets)
    unknown = [name for name in names if name not in targets]
    if unknown:
        sys.exit(f"FAILED: there is no parser {unknown[0]}; --list shows their names.")
    runs, faults = 0, 0
    for name in names:
        outcome = engine.run(targets[name], max(1, options.seconds // len(names)), options.seed, folder)
        runs += outcome.runs
        if outcome.finding is None and outcome.runs:
            say(f"{name}: {outcome.runs} inputs")
            continue
        faults += 1
        finding = engine.shrunk(targets[name], outcome.finding) if outcome.finding is not None else b""
        say(f"FAILED {name}: {outcome.why or outcome.log.read_text(encoding='utf-8', errors='replace')[-500:]}\n  {finding[:300]!r}")
        if options.keep and outcome.finding is not None:
            corpus.keep(name, outcome.why, finding)
    figures.add("inputs", runs, faults, len(names))


def say(line: str) -> None:
    print(line, flush=True)

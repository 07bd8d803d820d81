# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the mutants."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import typing as t
from collections.abc import Sequence
from pathlib import Path

import yaml

from ansible_collections.vfio.variants.tests.exit_codes import ended_by_exception
from ansible_collections.vfio.variants.tests.mutants import report
from ansible_collections.vfio.variants.tests.mutants.campaign import Campaign, Store
from ansible_collections.vfio.variants.tests.mutants.reach import ROOT
from ansible_collections.vfio.variants.tests.mutants.sample import ROOMS, drawn, texts
from ansible_collections.vfio.variants.tests.mutants.source import Mutant, mutants_of
from ansible_collections.vfio.variants.tests.mutants.state import TESTS, State, state_of_the_tree
from ansible_collections.vfio.variants.tests.mutants.trial import TrialError

EQUIVALENTS: t.Final = Path(__file__).resolve().with_name("equivalents.yml")
COUNT: t.Final = 600
SEED: t.Final = "1"
LIMIT: t.Final = 10.0


def parser() -> argparse.ArgumentParser:
    known = argparse.ArgumentParser(
        prog="tests/mutants/run", description="Make mistakes in the core and see whether the unit tests notice."
    )
    known.add_argument("--count", type=int, default=COUNT, help=f"how many mutants are drawn ({COUNT}); 0 for all there are")
    known.add_argument("--seed", default=SEED, help=f"what draws them ({SEED})")
    known.add_argument("--room", nargs="+", choices=ROOMS, default=list(ROOMS), help="only these rooms")
    known.add_argument("--file", nargs="+", metavar="PATH", help="only files whose paths below the core contain PATH")
    known.add_argument("--tests", nargs="+", metavar="PATH", default=[TESTS], help=f"only the tests below PATH ({TESTS})")
    known.add_argument("--only", metavar="WORDS", help="only mutants whose names contain WORDS")
    known.add_argument("--limit", type=float, default=LIMIT, metavar="PERCENT", help=f"fail when as many survive ({LIMIT:g})")
    known.add_argument("--jobs", type=int, default=2, help="mutants at a time (2)")
    known.add_argument("--list", action="store_true", help="show the mutants and try none")
    known.add_argument("--again", action="store_true", help="forget what is known of this state of the tree")
    known.add_argument("--table", type=Path, metavar="FILE", help="write the figures into FILE, between their two marks")
    return known


def main(arguments: Sequence[str]) -> int:
    options = parser().parse_args(arguments)
    # Leaving by the way of an exception ends the children too.
    try:
        with ended_by_exception(signal.SIGTERM):
            return _run(options, shlex.join(["tests/mutants/run", *arguments]))
    except (TrialError, ValueError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 2


def _run(options: argparse.Namespace, command: str) -> int:
    files = texts(options.room)
    if options.file:
        files = {file: text for file, text in files.items() if any(part in file for part in options.file)}
    left_out = equivalents()
    mutants = [mutant for mutant in drawn(files, options.seed, options.count or None, left_out) if (options.only or "") in mutant.name]
    if options.list:
        for mutant in mutants:
            say(str(mutant))
        return 0
    store = _store(state_of_the_tree(options.tests), options.again)
    outcomes = Campaign(store, files, options.jobs, say, lambda: state_of_the_tree(options.tests)).run(mutants)
    for line in report.listing(outcomes):
        say(line)
    for room, tried, left in report.rows(outcomes):
        say(f"{room}: {tried} mutants, {left} survived")
    if options.table:
        report.write_table(options.table, report.table(outcomes, command, _commit()))
    stale = _stale(left_out)
    for name in stale:
        say(f"{EQUIVALENTS.name} names what is not a mutant any more: {name}")
    say(f"{report.sentence(outcomes)}, of which fewer than {options.limit:g} % may")
    return int(bool(stale) or report.share(outcomes) >= options.limit)


def equivalents() -> dict[str, str]:
    """The names of the mutants that differ from the code in nothing that anyone can see, each with the reason."""
    entries: list[dict[str, str]] = yaml.safe_load(EQUIVALENTS.read_text(encoding="utf-8"))
    return {f"{entry['file']} {entry['scope']}: {entry['mistake']}: {entry['change']}": entry["reason"] for entry in entries}


def _stale(left_out: dict[str, str]) -> list[str]:
    known: list[Mutant] = [mutant for file, text in texts().items() for mutant in mutants_of(file, text)]
    return report.stale(list(left_out), known)


def _store(state: State, again: bool) -> Store:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    store = Store(Path(base) / "vfio-variants" / "mutants", state)
    if again:
        store.forget()
    return store


def _commit() -> str:
    argv = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, check=True, text=True, timeout=60).stdout.strip()


def say(line: str) -> None:
    print(line, flush=True)

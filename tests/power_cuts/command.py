# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: tries cuts until as many as asked for are recorded, records each at once, and writes the table.

A seed is a machine that is converged once, of whose cuts some are tried.  It stands for one state of the collection's code: when that has
changed, seeds of which nothing is recorded come next, and the rows of the code before stay.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
import typing as t
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import apt_sources
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine import qemu_program
from ansible_collections.vfio.variants.tests.exit_codes import exit_code
from ansible_collections.vfio.variants.tests.power_cuts import report, state
from ansible_collections.vfio.variants.tests.power_cuts.converging import Converging, Cut, drawn
from ansible_collections.vfio.variants.tests.power_cuts.trial import tried

RECORD = Path(__file__).with_name("observed") / "cuts.jsonl"
Row = dict[str, t.Any]


@dataclass(frozen=True)
class Wanted:
    """What a run is asked for."""

    count: int
    """Recorded cuts, those of earlier runs included."""
    seed: int
    per_seed: int
    renew: bool = False
    """Whether only cuts of the code as it is now count."""

    def counted(self, rows: Sequence[Row], code: str) -> list[Row]:
        """The recorded cuts that count."""
        return [row for row in rows if not self.renew or row["code"] == code]

    def next_seed(self, rows: Sequence[Row], code: str, used_up: t.Container[int]) -> int:
        """One of this code that has cuts left; then the first of which nothing is recorded, or nothing that counts."""
        of_code = [row["seed"] for row in rows if row["code"] == code]
        begun = [seed for seed in dict.fromkeys(of_code) if of_code.count(seed) < self.per_seed and seed not in used_up]
        if begun:
            return int(begun[0])
        passed = {row["seed"] for row in self.counted(rows, code)}
        return next(seed for seed in itertools.count(self.seed) if seed not in passed and seed not in used_up)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests/power_cuts/run", description=__doc__)
    parser.add_argument("--count", type=int, default=50, help="how many cuts are to be recorded, those of earlier runs included (50)")
    parser.add_argument("--seed", type=int, default=1, help="the first machine whose moments are drawn; of it, those that are left (1)")
    parser.add_argument("--per-seed", type=int, default=25, help="how many cuts of one machine are tried (25)")
    parser.add_argument("--renew", action="store_true", help="count only cuts of the collection as it is now")
    parser.add_argument("--table", action="store_true", help="only write the table of the recorded cuts")
    options = parser.parse_args(arguments)
    if options.table:
        report.write(report.rows(RECORD))
        return 0
    if options.count < 1 or options.per_seed < 1:
        parser.error("--count and --per-seed: at least 1")
    return exit_code(lambda: _all_tried(Wanted(options.count, options.seed, options.per_seed, options.renew)))


def _all_tried(wanted: Wanted) -> int:
    cache, code, used_up = Cache.at(None), state.code(), set[int]()
    while len(wanted.counted(report.rows(RECORD), code)) < wanted.count:
        seed = wanted.next_seed(report.rows(RECORD), code, used_up)
        with cache.lock(f"power-cuts-{seed}"):
            _tried_of(seed, wanted, code, cache)
        used_up.add(seed)
    counted = wanted.counted(report.rows(RECORD), code)
    failed = sum(bool(row["wrong"]) for row in counted)
    _say(f"{len(counted) - failed} passed, {failed} failed")
    return 1 if failed else 0


def _tried_of(seed: int, wanted: Wanted, code: str, cache: Cache) -> None:
    """Cuts of one machine, until enough are recorded, or there are none left."""
    converging = Converging(cache, seed)
    undisturbed = converging.provide(_say)
    qemu = qemu_program.provide(cache, apt_sources.of_this_machine, _say)
    for cut in drawn(undisturbed.cuts, seed):
        named = {"seed": seed, "code": code, **named_by(cut)}
        rows = report.rows(RECORD)
        recorded = len(wanted.counted(rows, code))
        of_seed = sum(row["seed"] == seed and row["code"] == code for row in rows)
        if recorded >= wanted.count or of_seed >= wanted.per_seed:
            return
        if report.found(RECORD, named) is not None:
            continue
        _say(f"cut {recorded + 1} of {wanted.count}: seed {seed}, after {cut.seconds:.0f} s, {cut.task or 'before the first task'}")
        began = time.monotonic()
        trial = tried(converging, cut, undisturbed, cache, qemu, _say)
        took = round(time.monotonic() - began)
        row = {**named, **state.of_run(), **asdict(trial), "took": took}
        report.add(RECORD, row)
        report.write(report.rows(RECORD))
        _say(f"{'WRONG' if row['wrong'] else 'right'} in {took} s: {json.dumps(row)}")


def named_by(cut: Cut) -> Row:
    """What a row has of its cut: of two runs with the same seed no two cuts have all of it."""
    return {"number": cut.number, "at": cut.seconds, "task": cut.task}


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stdout, flush=True)

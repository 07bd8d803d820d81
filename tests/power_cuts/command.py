# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: tries the cuts that are not recorded yet, records each, and writes the table."""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import time
import typing as t
from dataclasses import asdict
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import apt_sources
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import EXIT_STATUS, ArchiveUnavailableError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine import qemu_program
from ansible_collections.vfio.variants.tests.power_cuts import report
from ansible_collections.vfio.variants.tests.power_cuts.converging import Converging, Cut
from ansible_collections.vfio.variants.tests.power_cuts.trial import tried

RECORD = Path(__file__).with_name("observed") / "cuts.jsonl"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests/power_cuts/run", description=__doc__)
    parser.add_argument("--count", type=int, default=50, help="how many cuts of the run are tried, those recorded before included (50)")
    parser.add_argument("--seed", type=int, default=1, help="what draws the moments (1)")
    parser.add_argument("--table", action="store_true", help="only write the table of the recorded cuts")
    options = parser.parse_args(arguments)
    # Ended by an exception, so that no machine is left behind.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        if options.table:
            report.write(report.rows(RECORD))
            return 0
        return _tried(options.count, options.seed)
    except ArchiveUnavailableError as error:
        _say("\n".join([*error.lines(), "0 passed, 0 failed"]))
        return EXIT_STATUS
    except HostError as error:
        _say(f"FAILED: {error}")
        return 1


def _tried(count: int, seed: int) -> int:
    cache = Cache.at(None)
    with cache.lock(f"power-cuts-{seed}"):
        converging = Converging(cache, seed)
        undisturbed = converging.provide(_say)
        if count > len(undisturbed.cuts):
            raise HostError(f"--count {count}: the run of --seed {seed} has {len(undisturbed.cuts)} cuts.")
        qemu = qemu_program.provide(cache, apt_sources.of_this_machine, _say)
        rows: list[dict[str, t.Any]] = []
        for cut in random.Random(seed).sample(undisturbed.cuts, len(undisturbed.cuts))[:count]:  # noqa: S311
            named = {"seed": seed, "code": undisturbed.code, **named_by(cut)}
            row = report.found(RECORD, named)
            if row is None:
                began = time.monotonic()
                row = {**named, **asdict(tried(converging, cut, undisturbed, cache, qemu)), "took": round(time.monotonic() - began)}
                report.add(RECORD, row)
                report.write(report.rows(RECORD))
                _say(f"{len(rows) + 1} of {count}: {json.dumps(row)}")
            rows.append(row)
    failed = sum(bool(row["wrong"]) for row in rows)
    _say(f"{len(rows) - failed} passed, {failed} failed")
    return 1 if failed else 0


def named_by(cut: Cut) -> dict[str, t.Any]:
    """What a row has of its cut: of two runs with the same seed no two cuts have all of it."""
    return {"number": cut.number, "at": cut.seconds, "task": cut.task}


def _say(line: str) -> None:
    print(line, file=sys.stdout, flush=True)

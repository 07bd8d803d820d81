# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program: goes through the scenarios, prints what is wrong, and records the counts."""

from __future__ import annotations

import argparse
import ctypes
import errno
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ansible_collections.vfio.variants.tests.faults import library, report, small_disk
from ansible_collections.vfio.variants.tests.faults.library import HANGS, Fault
from ansible_collections.vfio.variants.tests.faults.scenario import Scenario
from ansible_collections.vfio.variants.tests.faults.scenarios import scenarios
from ansible_collections.vfio.variants.tests.faults.trial import Bench

FAULTS = {
    "killed": (0, False),
    "EIO": (errno.EIO, False),
    "EACCES": (errno.EACCES, False),
    "ENOSPC": (errno.ENOSPC, True),
    "EDQUOT": (errno.EDQUOT, True),
    "EROFS": (errno.EROFS, True),
    "SIGTERM": (-signal.SIGTERM, False),
    "SIGINT": (-signal.SIGINT, False),
    "SIGHUP": (-signal.SIGHUP, False),
    "hangs": (HANGS, False),
}
MEMORY = "/dev/shm"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests/faults/run", description=__doc__)
    parser.add_argument("--scenario", default="", help="only scenarios with this text in their names")
    parser.add_argument("--every", type=int, default=1, help="only every n-th call")
    parser.add_argument("--fault", choices=tuple(FAULTS), help="this fault alone, in all of them")
    parser.add_argument("--record", action="store_true", help="write docs/reliability.md and what it is made of")
    parser.add_argument("--resume", action="store_true", help="leave out the scenarios that are recorded")
    options = parser.parse_args(arguments)
    known = report.known() if options.resume else {}
    chosen = [scenario for scenario in scenarios() if options.scenario in scenario.name and scenario.name not in known]
    if options.fault:
        chosen = [replace(scenario, faults=(options.fault,)) for scenario in chosen]
    if "FAULT_STATE" not in os.environ:
        _start_again(mounts=any(scenario.small_disk for scenario in chosen))
    begun = time.monotonic()
    wrong: list[str] = []
    points = 0
    for scenario in chosen:
        row: Counter[str] = Counter()
        wrong += _go_through(scenario, options.every, row)
        points += sum(row[name] for name in FAULTS)
        if options.record and options.every == 1 and not options.fault:
            report.record(scenario.name, scenario.kind, row)
    print("\n".join(wrong))
    print(f"{points} points in {time.monotonic() - begun:.0f} s")
    print(f"{points - len(wrong)} passed, {len(wrong)} failed")
    return 1 if wrong else 0


def _start_again(mounts: bool) -> None:
    """The library has to be there before Python is, and what is mounted has to go with it, however it ends."""
    # In memory: what counts are the calls, not what a disk makes of them.
    state = tempfile.mkdtemp(prefix="vfio-variants-faults-", dir=MEMORY if os.path.isdir(MEMORY) else None)
    variables = {**os.environ, "LD_PRELOAD": str(library.build()), "FAULT_STATE": f"{state}/page", "FAULTS_PLACE": state}
    words = (*small_disk.NAMESPACE, sys.executable, *sys.argv) if mounts else (sys.executable, *sys.argv)
    os.execvpe(words[0], words, variables)


def _go_through(scenario: Scenario, every: int, row: Counter[str]) -> list[str]:
    wrong: list[str] = []
    for bench, fault, name in _points(scenario, every):
        found = bench.faults(fault)
        row[name] += 1
        row["wrong"] += bool(found)
        wrong += found
        for sentence in found:
            print(sentence, flush=True)
    print(json.dumps({scenario.name: dict(row)}), flush=True)
    return wrong


def _points(scenario: Scenario, every: int) -> Iterator[tuple[Bench, Fault, str]]:
    with tempfile.TemporaryDirectory(prefix="vfio-variants-faults-", dir=os.environ.get("FAULTS_PLACE")) as place:
        # Unarmed, the page lets everything pass.
        page = library.Page(Path(os.environ["FAULT_STATE"]))
        parts = (scenario, Path(place), page, ctypes.CDLL(os.environ["LD_PRELOAD"]))
        if scenario.small_disk:
            with small_disk.mounted(*parts) as small:
                yield from small.points(every)
            return
        bench = Bench(*parts)
        bench.prepare()
        for name in scenario.faults:
            for at in range(1, bench.calls + 1, every):
                yield bench, Fault(at, *FAULTS[name]), name

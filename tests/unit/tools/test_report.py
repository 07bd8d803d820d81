# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from workshop.check import Check, Result
from workshop.checkout import Checkout
from workshop.errors import WorkshopError
from workshop.phases import Phase
from workshop.report import Outcome, run_phases, summary
from workshop.workbench import Workbench


def phase(name: str, *codes: int, costly: bool = False) -> Phase:
    def checks(_bench: Workbench) -> Iterator[Check]:
        for code in codes:
            yield Check(f"{name} {code}", (sys.executable, "-c", f"raise SystemExit({code})"), Path("/"), dict(os.environ))

    return Phase(name, "tried out", checks, costly)


def verdicts(tmp_path: Path, *phases: Phase, keep_going: bool = False) -> list[tuple[str, str, int, int]]:
    outcomes = run_phases(phases, Workbench(Checkout(tmp_path, tmp_path / "cache")), keep_going=keep_going)
    return [(outcome.phase, outcome.verdict, outcome.passed, outcome.failed) for outcome in outcomes]


def test_all_checks_of_a_phase_run_even_if_one_fails(tmp_path: Path) -> None:
    assert verdicts(tmp_path, phase("lint", 1, 0, 0)) == [("lint", "FAILED", 2, 1)]


def test_costly_phases_wait_until_all_before_them_are_green(tmp_path: Path) -> None:
    assert verdicts(tmp_path, phase("lint", 1), phase("unit", 0), phase("molecule", 0, costly=True)) == [
        ("lint", "FAILED", 0, 1),
        ("unit", "ok", 1, 0),
        ("molecule", "not run", 0, 0),
    ]


def test_costly_phases_run_after_a_failure_when_asked_to(tmp_path: Path) -> None:
    assert verdicts(tmp_path, phase("lint", 1), phase("molecule", 0, costly=True), keep_going=True)[1] == ("molecule", "ok", 1, 0)


def test_a_phase_with_nothing_to_check_has_failed(tmp_path: Path) -> None:
    assert verdicts(tmp_path, phase("kernels")) == [("kernels", "FAILED", 0, 1)]


def test_a_phase_that_cannot_be_made_ready_has_failed(tmp_path: Path) -> None:
    def checks(_bench: Workbench) -> Iterator[Check]:
        raise WorkshopError("no network")

    assert verdicts(tmp_path, Phase("sanity", "tried out", checks)) == [("sanity", "FAILED", 0, 1)]


def test_the_closing_line_adds_up() -> None:
    lines = summary(
        [
            Outcome("lint", (Result("ruff", 1, 0), Result("mypy", 0, 1, why="exit code 1")), 8.0),
            Outcome("unit", (Result("pytest", 40, 2, why="2 failed"),), 61.4),
            Outcome("molecule"),
        ]
    )

    assert lines[1:6] == [
        "phase     verdict  passed  failed        time",
        "--------  -------  ------  ------  ----------",
        "lint       FAILED       1       1       8.0 s",
        "unit       FAILED      40       2  1 min 01 s",
        "molecule  not run       0       0       0.0 s",
    ]
    assert lines[-3:] == ["FAILED lint: mypy: exit code 1", "FAILED unit: pytest: 2 failed", "41 passed, 3 failed"]

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import ArchiveUnavailableError, MissingPackage
from devtool.check import Check, Result
from devtool.checkout import Checkout
from devtool.errors import DevtoolError
from devtool.phases import Phase
from devtool.report import Outcome, exit_status, run_phases, summary
from devtool.workspace import Workspace


def phase(name: str, *codes: int, costly: bool = False) -> Phase:
    def checks(_workspace: Workspace) -> Iterator[Check]:
        for code in codes:
            yield Check(f"{name} {code}", (sys.executable, "-c", f"raise SystemExit({code})"), Path("/"), dict(os.environ))

    return Phase(name, "tried out", checks, costly)


def results(tmp_path: Path, *phases: Phase, keep_going: bool = False) -> list[tuple[str, str, int, int]]:
    outcomes = run_phases(phases, Workspace(Checkout(tmp_path, tmp_path / "cache")), keep_going=keep_going)
    return [(outcome.phase, outcome.status, outcome.passed, outcome.failed) for outcome in outcomes]


def test_all_checks_of_a_phase_run_even_if_one_fails(tmp_path: Path) -> None:
    assert results(tmp_path, phase("lint", 1, 0, 0)) == [("lint", "FAILED", 2, 1)]


def test_costly_phases_wait_until_all_before_them_are_green(tmp_path: Path) -> None:
    assert results(tmp_path, phase("lint", 1), phase("unit", 0), phase("molecule", 0, costly=True)) == [
        ("lint", "FAILED", 0, 1),
        ("unit", "ok", 1, 0),
        ("molecule", "not run", 0, 0),
    ]


def test_costly_phases_run_after_a_failure_when_asked_to(tmp_path: Path) -> None:
    assert results(tmp_path, phase("lint", 1), phase("molecule", 0, costly=True), keep_going=True)[1] == ("molecule", "ok", 1, 0)


def test_phases_beside_the_others_run_at_the_same_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = Barrier(2, timeout=60)

    def checks(_workspace: Workspace) -> Iterator[Check]:
        both.wait()
        yield Check("tried out", (sys.executable, "-c", "raise SystemExit(0)"), Path("/"), dict(os.environ))

    beside, last = Phase("unit", "in one", checks, beside=True), Phase("sanity", "in the other", checks)
    assert results(tmp_path, phase("lint", 1), beside, last, phase("kernels", 0, costly=True)) == [
        ("lint", "FAILED", 0, 1),
        ("unit", "ok", 1, 0),
        ("sanity", "ok", 1, 0),
        ("kernels", "not run", 0, 0),
    ]
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("== ")]
    assert [line.split(":")[0] for line in shown] == ["== lint", "== lint", "== sanity", "== sanity", "== unit", "== unit"]


def test_costly_phases_run_one_after_the_other(tmp_path: Path) -> None:
    running: list[str] = []

    def checks(_workspace: Workspace) -> Iterator[Check]:
        assert not running
        running.append("one")
        yield Check("tried out", (sys.executable, "-c", "raise SystemExit(0)"), Path("/"), dict(os.environ))
        running.clear()

    costly = [Phase(name, "tried out", checks, costly=True) for name in ("kernels", "forecast")]
    assert results(tmp_path, phase("lint", 0), *costly)[1:] == [("kernels", "ok", 1, 0), ("forecast", "ok", 1, 0)]


def test_a_phase_with_nothing_to_check_has_failed(tmp_path: Path) -> None:
    assert results(tmp_path, phase("kernels")) == [("kernels", "FAILED", 0, 1)]


def test_a_phase_that_cannot_be_made_ready_has_failed(tmp_path: Path) -> None:
    def checks(_workspace: Workspace) -> Iterator[Check]:
        raise DevtoolError("no network")

    assert results(tmp_path, Phase("sanity", "tried out", checks)) == [("sanity", "FAILED", 0, 1)]


def test_the_closing_line_adds_up() -> None:
    lines = summary(
        [
            Outcome("lint", (Result("ruff", 1, 0), Result("mypy", 0, 1, why="exit code 1")), 8.0),
            Outcome("unit", (Result("pytest", 40, 2, why="2 failed"),), 61.4),
            Outcome("molecule"),
        ]
    )

    assert lines[1:6] == [
        "phase      result  passed  failed        time",
        "--------  -------  ------  ------  ----------",
        "lint       FAILED       1       1       8.0 s",
        "unit       FAILED      40       2  1 min 01 s",
        "molecule  not run       0       0       0.0 s",
    ]
    assert lines[-3:] == ["FAILED lint: mypy: exit code 1", "FAILED unit: pytest: 2 failed", "41 passed, 3 failed"]


LACKING = Result("all kernels", 90, 0, unavailable=("linux 6.12 (404); instead: 6.12.107",))
SHORT = Result("scenario default", 0, 0, why="the archive left less than the floor", unavailable=("the index of trixie (404)",), short=True)


def test_what_an_archive_did_not_deliver_is_named_and_turns_nothing_red() -> None:
    outcomes = [Outcome("kernels", (LACKING,)), Outcome("forecast", (LACKING,))]

    assert exit_status(outcomes) == 0
    assert [outcome.status for outcome in outcomes] == ["ok", "ok"]
    assert summary(outcomes)[-2:] == ["archive unavailable: linux 6.12 (404); instead: 6.12.107", "180 passed, 0 failed"]


def test_too_little_to_test_is_neither_a_success_nor_a_failure() -> None:
    outcomes = [Outcome("kernels", (LACKING,)), Outcome("molecule", (SHORT,))]
    lines = summary(outcomes)

    assert exit_status(outcomes) == 69
    assert outcomes[1].status == "unavailable"
    assert lines[-3:] == [
        "archive unavailable: the index of trixie (404)",
        "NOT TESTED molecule: scenario default: the archive left less than the floor",
        "90 passed, 0 failed",
    ]
    assert not [line for line in lines if "FAILED" in line]


def test_a_failure_beside_too_little_to_test_is_a_failure() -> None:
    outcomes = [Outcome("molecule", (SHORT, Result("scenario kernels", 0, 1, why="exit code 1")))]

    assert exit_status(outcomes) == 1
    assert outcomes[0].status == "FAILED"


def test_phases_go_on_after_one_that_an_archive_left_too_little(tmp_path: Path) -> None:
    def checks(_workspace: Workspace) -> Iterator[Check]:
        raise ArchiveUnavailableError([MissingPackage("ruff", "the index does not have it", "1.0")])

    assert results(tmp_path, Phase("docs", "tried out", checks), phase("molecule", 0, costly=True)) == [
        ("docs", "unavailable", 0, 0),
        ("molecule", "ok", 1, 0),
    ]


def lanes(tmp_path: Path, *programs: tuple[str, str]) -> Phase:
    def checks(_workspace: Workspace) -> Iterator[Check]:
        for number, (lane, program) in enumerate(programs):
            yield Check(str(number), (sys.executable, "-c", program), tmp_path, dict(os.environ), 60, lane=lane)

    return Phase("lint", "tried out", checks, lanes=True)


def test_lanes_run_side_by_side_and_each_in_order(tmp_path: Path) -> None:
    """The second lane waits for what the first one's second check writes, and it for what the second one's first check writes."""
    waits = "import pathlib, time\nwhile not pathlib.Path({0!r}).exists(): time.sleep(0.01)\n"
    writes = "import pathlib; pathlib.Path({0!r}).write_text('')\n"
    one = ("one", ""), ("one", waits.format("a") + writes.format("b"))
    two = ("two", writes.format("a") + waits.format("b")), ("two", "raise SystemExit(3)")
    assert results(tmp_path, lanes(tmp_path, *one, *two)) == [("lint", "FAILED", 3, 1)]


def test_what_a_check_prints_in_a_lane_is_not_mixed_with_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = "import time\nfor number in range(5): print({0!r}, flush=True); time.sleep(0.05)"
    results(tmp_path, lanes(tmp_path, ("one", program.format("from one")), ("two", program.format("from two"))))
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("from")]
    assert sorted(said) == ["from one"] * 5 + ["from two"] * 5
    assert said == sorted(said)


def test_an_error_in_a_lane_ends_what_the_others_run(tmp_path: Path) -> None:
    def checks(_workspace: Workspace) -> Iterator[Check]:
        program = f"import os, pathlib, time; pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid())); time.sleep(300)"
        waits = f"import pathlib, time\nwhile not pathlib.Path({str(tmp_path / 'pid')!r}).exists(): time.sleep(0.01)"
        yield Check("waits", (sys.executable, "-c", waits), Path("/"), dict(os.environ), lane="one")
        yield Check("cannot run", ("/nonexistent",), Path("/"), dict(os.environ), lane="one")
        yield Check("long", (sys.executable, "-c", program), Path("/"), dict(os.environ), lane="two")
        yield Check("is not begun", (sys.executable, "-c", "raise SystemExit(1)"), Path("/"), dict(os.environ), lane="two")

    begun = time.monotonic()
    assert results(tmp_path, Phase("lint", "tried out", checks, lanes=True)) == [("lint", "FAILED", 0, 1)]
    assert time.monotonic() - begun < 60
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists()

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

from ansible_collections.vfio.variants.tests.faults.report import PAGE
from ansible_collections.vfio.variants.tests.power_cuts import report
from ansible_collections.vfio.variants.tests.power_cuts.command import RECORD
from ansible_collections.vfio.variants.tests.power_cuts.contents import differences


def row(number: int, task: str, **more: object) -> dict[str, object]:
    return {"seed": 1, "number": number, "at": float(number), "task": task, "booted": True, "certain": 3, "wrong": [], **more}


def test_the_page_shows_the_recorded_cuts() -> None:
    assert report.table(report.rows(RECORD)) in PAGE.read_text(encoding="utf-8")


def test_cuts_are_counted_by_the_task_that_ran() -> None:
    found = report.table([row(2, "role : Write"), row(1, "role : Build"), row(3, "role : Write", booted=False, wrong=["x"])])
    assert found.splitlines()[2:] == ["| Build | 1 | 1 | 3 | 0 |", "| Write | 2 | 1 | 6 | 1 |", "| **all** | 3 | 2 | 9 | 1 |"]


def test_rows_are_kept_in_a_file(tmp_path: Path) -> None:
    place = tmp_path / "observed" / "cuts.jsonl"
    assert report.rows(place) == []
    report.add(place, row(1, "a"))
    report.add(place, row(2, "b"))
    assert [found["number"] for found in report.rows(place)] == [1, 2]


def test_a_file_that_is_missing_too_many_or_another_is_a_difference() -> None:
    assert differences({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "9", "d": "4"}) == ["b", "c", "d"]
    assert differences({"a": "1"}, {"a": "1"}) == []

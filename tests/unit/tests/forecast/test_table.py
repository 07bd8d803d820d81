# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import generator
import report
import table
from comparison_result import DeviceResult, Status
from table import Result


def result(seed: int, *statuses: Status) -> Result:
    return Result(
        generator.draw(seed), tuple(DeviceResult(f"0000:00:{number:02x}.0", None, {}, status) for number, status in enumerate(statuses))
    )


def test_the_table_counts_by_kernel(tmp_path: Path) -> None:
    document = tmp_path / "who-wins.md"
    document.write_text(f"{table.BEGIN}\n{table.END}\n")
    table.write(document, [result(0, Status.RIGHT, Status.SHOWN), result(1, Status.RIGHT, Status.UNKNOWN)])
    lines = document.read_text().splitlines()
    assert "| `6.1` | 1 | 2 | 1 | 1 | 0 | 0 | 0 |" in lines
    assert "| all | 2 | 4 | 2 | 1 | 0 | 1 | 0 |" in lines


def test_what_stands_around_the_table_stays(tmp_path: Path) -> None:
    document = tmp_path / "who-wins.md"
    document.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    table.write(document, [result(0, Status.RIGHT)])
    text = document.read_text()
    assert text.startswith(f"before\n{table.BEGIN}\n")
    assert text.endswith(f"{table.END}\nafter\n")
    assert "old" not in text


def test_a_wrong_answer_fails_the_run_and_shows_both_answers() -> None:
    wrong = result(0, Status.WRONG)
    assert list(report.failures([wrong])) == ["1 answers were wrong"]
    assert "WRONG: seed-0" in list(report.disagreement(wrong))


def test_too_many_unknown_answers_fail_the_run() -> None:
    assert list(report.failures([result(0, *[Status.RIGHT] * 18, Status.UNKNOWN, Status.UNKNOWN)]))
    assert not list(report.failures([result(0, *[Status.RIGHT] * 19, Status.UNKNOWN)]))


def test_a_run_that_compared_nothing_fails() -> None:
    assert list(report.failures([])) == ["nothing was compared"]


def test_a_configuration_that_did_not_boot_to_its_end_fails_the_run() -> None:
    said: list[str] = []
    assert report.end([result(0, Status.RIGHT)], 0, said.append) == 0
    assert report.end([result(0, Status.RIGHT)], 1, said.append) == 1
    assert said[-2:] == ["FAILED: 1 configurations did not boot to their end", "1 passed, 1 failed"]

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said about a campaign."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.tests.mutants import report
from ansible_collections.vfio.variants.tests.mutants.campaign import UNREACHED
from ansible_collections.vfio.variants.tests.mutants.source import Mutant
from ansible_collections.vfio.variants.tests.mutants.trial import ENDLESS, NOTICED, SURVIVED, Outcome


def mutant(file: str, number: int) -> Mutant:
    return Mutant(file, "f", "number", "1", "2", number, (number, number), True)


FOUND = {
    mutant("kernel/a.py", 1): Outcome(NOTICED, "a test"),
    mutant("kernel/a.py", 2): Outcome(SURVIVED),
    mutant("kernel/a.py", 3): Outcome(ENDLESS),
    mutant("udev/b.py", 4): Outcome(UNREACHED),
}


def test_what_no_test_runs_counts_as_not_noticed() -> None:
    assert list(report.rows(FOUND)) == [("kernel", 3, 1), ("udev", 1, 1), ("all", 4, 2)]
    assert report.sentence(FOUND) == "4 mutants, 2 survived (50.0 %)"
    assert list(report.listing(FOUND)) == [
        "not noticed: kernel/a.py:2 f: number: 1 -> 2 #2",
        "not run by any test: udev/b.py:4 f: number: 1 -> 2 #4",
    ]


def test_the_table_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nbehind\n")
    report.write_table(page, report.table(FOUND, "run --seed 1", "abc"))
    text = page.read_text()
    assert "| udev | 1 | 1 | 100.0 |" in text
    assert "`run --seed 1` at commit `abc`:" in text
    assert "old" not in text
    assert (text.splitlines()[0], text.splitlines()[-1]) == ("before", "behind")


def test_a_page_without_the_marks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("text\n")
    with pytest.raises(ValueError, match="no place between"):
        report.write_table(tmp_path / "page.md", "table")


def test_an_equivalent_that_is_not_a_mutant_any_more_is_told() -> None:
    known = mutant("kernel/a.py", 1)
    assert report.stale([known.name, "kernel/a.py gone: number: 1 -> 2"], [known]) == ["kernel/a.py gone: number: 1 -> 2"]

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sample of the tests that take long: each case has its turn, and nothing else is left out."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.tests.unit.sampling import MARK
from devtool.phases import TURNS

TESTS = Path(__file__).parent
PART = re.compile(rf"^\s*@pytest\.mark\.{MARK}\((\d+)\)$", re.MULTILINE)
FILE = """
import pytest

@pytest.mark.sampled(3)
@pytest.mark.parametrize("second", "xy")
@pytest.mark.parametrize("first", range(4))
def test_of_many_cases(first, second):
    pass

@pytest.mark.sampled(2)
def test_of_one_case():
    pass

@pytest.mark.parametrize("case", range(2))
def test_that_is_quick(case):
    pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of tests with this tree's conftest.py."""
    (tmp_path / "conftest.py").write_text((TESTS / "conftest.py").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "test_made.py").write_text(FILE, encoding="utf-8")
    return tmp_path


def collected(folder: Path, *words: str) -> list[str]:
    argv = (sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "--strict-markers", *words, ".")
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=120, check=True)
    return [line.partition("::")[2] for line in done.stdout.splitlines() if "::" in line]


@pytest.mark.sampled(3)
def test_with_as_many_numbers_in_a_row_as_there_are_parts_each_case_runs_once(folder: Path) -> None:
    whole = collected(folder)
    drawn = [collected(folder, f"--drawn-by={number}") for number in range(7, 13)]
    assert len(whole) == 4 * 2 + 1 + 2
    for name in whole:
        turns = [number for number, found in enumerate(drawn) if name in found]
        part = 3 if "many" in name else 2 if "one_case" in name else 1
        assert [later - earlier for earlier, later in itertools.pairwise(turns)] == [part] * (6 // part - 1)


@pytest.mark.sampled(3)
def test_the_same_number_draws_the_same(folder: Path) -> None:
    assert collected(folder, "--drawn-by=5") == collected(folder, "--drawn-by=5") == collected(folder, f"--drawn-by={5 + TURNS}")


def test_each_part_divides_the_numbers_that_commits_give() -> None:
    parts = {int(part) for path in TESTS.rglob("test_*.py") for part in PART.findall(path.read_text(encoding="utf-8"))}
    assert parts
    assert all(part > 1 and TURNS % part == 0 for part in parts)

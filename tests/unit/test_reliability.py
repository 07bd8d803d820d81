# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sample of the faults that `make faults` goes through, and the table that it has written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.tests.faults import report
from ansible_collections.vfio.variants.tests.faults.scenarios import scenarios

RUN = Path(__file__).resolve().parents[1] / "faults/run"
LEAST_KILLS = 600


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("scenario", "every"),
    [
        ("override to blacklist", 6),
        ("mixed to none", 12),
        ("image of ids with", 8),
        ("converge on a small disk", 900),
        ("arguments by kernel-install", 12),
    ],
)
def test_a_run_that_is_killed_leaves_a_safe_host_and_the_next_run_converges(scenario: str, every: int) -> None:
    variables = {name: value for name, value in os.environ.items() if name != "FAULT_STATE"}
    argv = [sys.executable, str(RUN), "--scenario", scenario, "--every", str(every)]
    done = subprocess.run(argv, env=variables, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.splitlines()[-1].endswith(" passed, 0 failed"), done.stdout + done.stderr
    assert not done.stdout.startswith("0 points")


def test_the_table_shows_the_recorded_counts() -> None:
    text = report.PAGE.read_text(encoding="utf-8")
    assert report.page(report.counts(), text) == text


def test_every_scenario_is_recorded_and_nothing_was_wrong() -> None:
    assert report.known() == {scenario.name: scenario.kind for scenario in scenarios()}
    rows = [row for rows in report.counts().values() for row in rows.values()]
    assert sum(row["wrong"] for row in rows) == 0
    assert sum(row["killed"] for row in rows) >= LEAST_KILLS
    assert all(sum(row[name] for row in rows) > 0 for name in ("EIO", "ENOSPC", "EROFS"))

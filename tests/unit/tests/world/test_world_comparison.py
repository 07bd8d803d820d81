# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A prediction for a whole host against what its boot showed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import world_comparison
import world_report
from world_comparison import ANOTHER, JudgedHost, Result, judge
from world_configuration import Planted, World
from world_records import Record, Seen

ADDRESS = "0000:00:02.0"


@dataclass(frozen=True)
class Said:
    driver: str | None
    certainty: str
    outcomes: tuple[str | None, ...]
    because: tuple[str, ...] = ("a file: a line",)


def judged(said: Said | None, seen: str | None, *planted: Planted) -> JudgedHost:
    record = Record(World("world-1", "7.3", planted=planted), Seen({ADDRESS: seen}, {}))
    return judge(record, {} if said is None else {ADDRESS: said})


@pytest.mark.parametrize(
    ("said", "seen", "result"),
    [
        (Said("e1000e", "certain", ("e1000e",)), "e1000e", Result.RIGHT),
        (Said(None, "certain", (None,)), None, Result.RIGHT),
        (Said("e1000e", "certain", ("e1000e",)), None, Result.WRONG),
        (Said(None, "certain", (None,)), "vfio-pci", Result.WRONG),
        (Said("e1000e", "race", ("e1000e", "vfio-pci")), "vfio-pci", Result.POSSIBLE),
        (Said("e1000e", "race", ("e1000e", "vfio-pci")), None, Result.MISSED),
        (Said("e1000e", "unknown", ("e1000e", None)), None, Result.OPEN),
        (Said("e1000e", "unknown", ("e1000e", None)), "vfio-pci", Result.MISSED),
        (Said("e1000e", "unknown", ("e1000e", ANOTHER)), "vfio-pci", Result.OPEN),
        (Said("e1000e", "unknown", ("e1000e", ANOTHER)), None, Result.MISSED),
        (Said("e1000e", "certain", ("e1000e",), ()), "e1000e", Result.WRONG),
        (None, "vfio-pci", Result.MISSED),
        (None, None, Result.MISSED),
    ],
)
def test_an_answer_is_right_wrong_or_open(said: Said | None, seen: str | None, result: Result) -> None:
    host = judged(said, seen)
    assert [one.result for one in host.functions] == [result]
    assert host.is_bad == (result in world_comparison.BAD)


def test_a_function_that_is_gone_after_the_boot_has_no_driver() -> None:
    record = Record(World("world-1", "7.3"), Seen({}, {}))
    assert [one.result for one in judge(record, {ADDRESS: Said(None, "certain", (None,))}).functions] == [Result.RIGHT]


def test_a_host_that_could_not_be_predicted_is_bad() -> None:
    assert JudgedHost(World("world-1", "7.3"), error="KeyError: 'x'").is_bad


def test_a_mechanism_counts_for_the_function_that_it_is_about() -> None:
    host = judged(
        Said(None, "unknown", (None,)), None, Planted("timer", ADDRESS), Planted("cron", "0000:00:03.0"), Planted("for all: nomodule")
    )
    found = world_comparison.by_mechanism([host])
    assert {name: (count["hosts"], count["functions"], count["unknown"]) for name, count in found.items()} == {
        "timer": (1, 1, 1),
        "cron": (1, 0, 0),
        "for all: nomodule": (1, 1, 1),
    }


def test_a_bad_answer_is_shown_with_what_was_planted_on_the_function() -> None:
    lines = list(world_report.disagreements(judged(Said("e1000e", "certain", ("e1000e",), ("a reason",)), None, Planted("timer", ADDRESS))))
    assert lines[0] == f"world-1 (Linux 7.3) {ADDRESS}: certain wrong"
    assert lines[1:] == ["    predicted: certain e1000e; seen: no driver", "    planted on it: timer", "    a reason"]
    assert list(world_report.disagreements(judged(Said(None, "certain", (None,)), None))) == []

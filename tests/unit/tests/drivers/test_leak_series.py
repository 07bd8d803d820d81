# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools

import pytest

from ansible_collections.vfio.variants.tests.drivers import driver_report
from ansible_collections.vfio.variants.tests.drivers.leak_series import Series

SLAB = 64
"""The objects of a slab of kmalloc-64, which is what a CPU may have at hand."""


def series(*parts: int, name: str = "kmalloc-64", rounds: int = 100, kept: int = 0, **others: int) -> Series:
    """A counter that grew so in parts of so many rounds each, beside others that grew by as much in the first part."""
    made = Series("it is opened", {name: kept} if kept else {})
    totals = itertools.accumulate(parts, initial=1000)
    made.samples = [
        (number * rounds, {name: total, **{other: 500 + (grown if number else 0) for other, grown in others.items()}})
        for number, total in enumerate(totals)
    ]
    return made


@pytest.mark.parametrize("parts", [(67, -65, 65), (-65, 65, -65), (26, -26, 26), (0, 0, 0), (-100, -100, -100), (64, 0, 0), (49, 50, 50)])
def test_noise_of_a_slab_that_comes_and_goes_is_not_a_leak(parts: tuple[int, ...]) -> None:
    assert series(*parts, kept=SLAB).problems() == []


@pytest.mark.parametrize(
    "parts", [(27, 173, 28), (100, 100, 100), (100, 36, 100), (164, 100, 36), (36, 100, 100), (50, 50, 50), (1000, 0, 0)]
)
def test_an_object_that_every_round_loses_is_a_leak_however_a_slab_hides_it(parts: tuple[int, ...]) -> None:
    (problem,) = series(*parts, kept=SLAB).problems()
    assert problem.startswith(f"it is opened 300 times and {sum(parts)} of kmalloc-64 are lost ({parts[0]:+d}, ")


@pytest.mark.parametrize("kept", [0, 1, 63, 64, 149])
def test_whatever_cpus_keep_within_the_bound_changes_no_answer(kept: int) -> None:
    for before, after in itertools.product((0, kept), repeat=2):
        noise = after - before
        assert series(noise, 0, 0, kept=kept).problems() == []
        assert len(series(100 + noise, 100, 100, kept=kept).problems()) == 1


@pytest.mark.parametrize("kept", [150, 320, 1024])
def test_more_than_the_bound_is_said_to_be_undecidable_and_not_passed(kept: int) -> None:
    (problem,) = series(0, 0, 0, kept=kept).problems()
    assert f"of kmalloc-64 CPUs may have {kept} objects at hand" in problem
    assert f"more than {2 * kept} rounds and not in 300" in problem


def test_what_one_cache_loses_another_does_not_make_up_for() -> None:
    (problem,) = series(100, 100, 100, filp=-300).problems()
    assert "300 of kmalloc-64" in problem


@pytest.mark.parametrize("name", ["pages", "filp", "kmalloc-8"])
def test_every_counter_is_judged(name: str) -> None:
    made = series(0, 0, 0)
    made.samples = [(rounds, {**sample, name: 7 + rounds}) for rounds, sample in made.samples]
    assert [f"300 of {name}" in problem for problem in made.problems()] == [True]


def test_a_cache_that_is_made_during_the_rounds_counts_from_nothing() -> None:
    made = series(0, 0, 0)
    made.samples[-1] = (300, {**made.samples[-1][1], "new": 300})
    assert ["300 of new" in problem for problem in made.problems()] == [True]


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_samples_say_nothing(count: int) -> None:
    made = series(0, 0, 0)
    del made.samples[count:]
    assert len(made.problems()) == 1


def test_how_far_it_was_from_a_loss_is_said() -> None:
    assert series(2, 0, 1, filp=-7).remark == "2 counters, the largest change is -7 (filp); one a round would be +300"


def report(*samples: int, ended: bool = True) -> driver_report.Case:
    lines = "".join(f"sample {50 * number} kmalloc-8={count} random-name=3 pages=-108007\n" for number, count in enumerate(samples))
    end = "end of series\n" if ended else ""
    text = f"@case 60-openings 1.0\n1..1\nseries 0000:00:0b.0 is opened\n{lines}{end}@log\n@end\n"
    (case,) = driver_report.parse(text).cases
    return case


def test_a_guests_samples_are_one_check_of_its_case() -> None:
    assert report(10, 10, 11, 10).passed == ["0000:00:0b.0 is opened 150 times and no object and no page is lost"]
    assert report(10, 60, 110, 160).failed == ["0000:00:0b.0 is opened 150 times and 150 of kmalloc-8 are lost (+50, +50, +50)"]


def test_samples_that_break_off_leave_a_check_out() -> None:
    assert report(10, 10, ended=False).problem == "60-openings: 0 checks were made, and 1 planned"

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import floor
import pytest
from configuration import SERIES
from matrix import RELEASES

ENOUGH = [("amd64", "6.1"), ("amd64", "6.12"), ("amd64", "7.3"), ("arm64", "6.12"), ("ppc64el", "6.12")]


def test_a_run_that_covers_the_floor_misses_nothing() -> None:
    assert floor.missed_builds(ENOUGH) == []


@pytest.mark.parametrize("lacking", range(len(ENOUGH)))
def test_every_part_of_the_floor_is_missed(lacking: int) -> None:
    assert len(floor.missed_builds([kind for number, kind in enumerate(ENOUGH) if number != lacking])) == 1


def test_a_kernel_of_another_architecture_does_not_count() -> None:
    assert floor.missed_builds([("ppc64el", "6.1"), *ENOUGH[1:]]) == [("amd64", "6.1")]


def test_6_1_is_not_6_12_and_70_is_not_7() -> None:
    assert not floor.is_of("amd64", "6.12", ("amd64", "6.1"))
    assert not floor.is_of("amd64", "70.1", ("amd64", "7"))
    assert floor.is_of("amd64", "7.10", ("amd64", "7"))


def test_what_the_floor_wants_of_guests_is_made_and_booted() -> None:
    made = {series for release in RELEASES for series in release.series}
    assert set(floor.GUESTS) <= made & set(SERIES)
    assert floor.missed_guests({"6.1", "7.2"}) == ["6.12"]

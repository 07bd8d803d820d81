# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which mutants a seed draws."""

from __future__ import annotations

from collections import Counter

import pytest

from ansible_collections.vfio.variants.tests.mutants.command import equivalents
from ansible_collections.vfio.variants.tests.mutants.sample import ROOMS, drawn, shares, texts
from ansible_collections.vfio.variants.tests.mutants.source import mutants_of

LONG, SHORT = "kernel/long.py", "udev/short.py"
FILES = {LONG: "".join(f"a{number} = b < {number}\n" for number in range(90)), SHORT: "".join(f"a = b < {n}\n" for n in range(10))}


def test_the_same_seed_draws_the_same_and_another_one_others() -> None:
    assert drawn(FILES, "1", 40) == drawn(FILES, "1", 40)
    assert drawn(FILES, "1", 40) != drawn(FILES, "2", 40)


def test_each_file_has_a_share_by_its_length() -> None:
    assert Counter(mutant.file for mutant in drawn(FILES, "1", 40)) == {LONG: 36, SHORT: 4}


def test_a_file_without_enough_mutants_leaves_its_share_to_the_others() -> None:
    assert shares({"a": 50, "b": 50}, {"a": 3, "b": 100}, 40) == {"a": 3, "b": 37}
    assert shares({"a": 1, "b": 1, "c": 1}, {"a": 9, "b": 9, "c": 9}, 4) == {"a": 2, "b": 1, "c": 1}
    assert shares({"a": 1, "b": 1}, {"a": 2, "b": 3}, 99) == {"a": 2, "b": 3}


def test_one_that_is_left_out_changes_no_more_than_its_own_place() -> None:
    before = drawn(FILES, "1", 40)
    left_out = before[0]
    now = drawn(FILES, "1", 40, {left_out.name})
    assert len(set(before) ^ set(now)) == 2
    assert left_out not in now


@pytest.mark.sampled(4)
def test_every_file_of_every_room_is_drawn_from() -> None:
    found = drawn(texts(), "1", 600)
    assert len(found) == 600
    assert {mutant.room for mutant in found} == set(ROOMS)
    assert {mutant.file for mutant in found} == {file for file, text in texts().items() if mutants_of(file, text)}


def test_each_equivalent_mutant_has_a_reason() -> None:
    assert all(len(reason.split()) > 4 for reason in equivalents().values())

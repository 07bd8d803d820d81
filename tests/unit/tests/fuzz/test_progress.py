# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

from ansible_collections.vfio.variants.tests.fuzz import option_sets
from ansible_collections.vfio.variants.tests.fuzz.progress import EVERY, Count, Progress


def test_a_campaign_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    progress = Progress(tmp_path / "work/progress.json", "code 1")
    first = Count(progress, "trees", 200)
    first.faults = 3
    assert [number for number in first.left() if first.after(number)] == [EVERY - 1, 2 * EVERY - 1, 3 * EVERY - 1, 199]
    progress.keep("trees", 120, 3)
    again = Count(progress, "trees", 200)
    assert (again.left(), again.faults) == (range(120, 200), 3)
    assert Count(progress, "options", 5).left() == range(5)


def test_another_state_of_the_code_begins_from_the_start(tmp_path: Path) -> None:
    place = tmp_path / "progress.json"
    Progress(place, "code 1").keep("trees", 120, 3)
    assert Count(Progress(place, "code 2"), "trees", 200).left() == range(200)


def test_without_a_folder_nothing_is_kept() -> None:
    progress = Progress(None, "code 1")
    progress.keep("trees", 120, 3)
    assert progress.done("trees") == (0, 0)


def test_sets_of_options_are_counted(tmp_path: Path) -> None:
    progress = Progress(tmp_path / "progress.json", "code 1")
    assert option_sets.run(Count(progress, "options", 3), 1, print) == 0
    assert progress.done("options") == (3, 0)
    assert list(Count(progress, "options", 3).left()) == []

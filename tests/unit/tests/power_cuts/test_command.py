# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.vfio.variants.tests.power_cuts import report, state
from ansible_collections.vfio.variants.tests.power_cuts.command import RECORD, Wanted, main
from ansible_collections.vfio.variants.tests.power_cuts.converging import Cut, drawn
from ansible_collections.vfio.variants.tests.power_cuts.playbooks import ROOT


def rows(*of: tuple[int, str]) -> list[dict[str, t.Any]]:
    return [{"seed": seed, "code": code} for seed, code in of]


def test_a_machine_of_this_code_that_has_cuts_left_is_gone_on_with() -> None:
    assert Wanted(50, 1, 3).next_seed(rows((1, "old"), (4, "now"), (4, "now")), "now", ()) == 4


def test_a_machine_with_enough_cuts_is_not() -> None:
    assert Wanted(50, 1, 2).next_seed(rows((4, "now"), (4, "now")), "now", ()) == 1
    assert Wanted(50, 1, 9).next_seed(rows((4, "now"), (4, "now")), "now", {4, 1}) == 2


def test_after_a_change_of_the_code_seeds_that_were_not_tried_come_next() -> None:
    assert Wanted(50, 1, 9).next_seed(rows((1, "old"), (2, "older")), "now", ()) == 3


def test_rows_of_older_code_count_unless_they_are_to_be_renewed() -> None:
    recorded = rows((1, "old"), (1, "now"), (2, "old"))
    assert len(Wanted(50, 1, 9).counted(recorded, "now")) == 3
    renewing = Wanted(50, 1, 1, renew=True)
    assert len(renewing.counted(recorded, "now")) == 1
    assert renewing.next_seed(recorded, "now", ()) == 2


def test_a_disk_that_is_as_at_the_cut_before_is_not_tried_a_second_time() -> None:
    cuts = [Cut(number, "layer", float(number), "Write", written) for number, written in enumerate((900, 200, 700, 200, 200, 201), 1)]
    assert {cut.number for cut in drawn(cuts, 1)} == {1, 3, 6}
    assert drawn(cuts, 1) == drawn(cuts, 1)


def test_every_recorded_cut_names_its_code_commit_and_day() -> None:
    for row in report.rows(RECORD):
        assert re.fullmatch(r"[0-9a-f]{16}", row["code"])
        assert re.fullmatch(r"[0-9a-f]{12}\+?", row["commit"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", row["day"])


def test_the_state_of_the_code_is_its_digest_and_the_commit() -> None:
    of_run = state.of_run()
    assert re.fullmatch(r"[0-9a-f]{12}\+?", of_run["commit"]) is not None
    assert state.code() == state.code()
    assert all((ROOT / folder).is_dir() for folder in ("plugins", "roles", "files", "playbooks/demo"))


@pytest.mark.parametrize("option", ["--count", "--per-seed"])
def test_numbers_below_one_are_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([option, "0"])
    assert "at least 1" in capsys.readouterr().err

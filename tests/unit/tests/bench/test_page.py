# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.vfio.variants.tests import marked_page
from ansible_collections.vfio.variants.tests.bench import page, ratios
from ansible_collections.vfio.variants.tests.bench.limits import COLD, LIMITS, Figure
from ansible_collections.vfio.variants.tests.bench.ratios import AIMS, LEAST, Ratio

BARS = re.compile(r'<rect class="(\w+)" x="20" y="\d+" width="([\d.]+)"')
LIMITED, BESIDE, AIMED = next(iter(ratios.LIMITS)), next(iter(LEAST)), next(iter(AIMS))


def rows(limited: float, beside: float = 2.0, aimed: float = 9.0) -> list[page.Row]:
    measured = [Ratio(LIMITED, "how", limited, 1.25), Ratio(BESIDE, "how", beside), Ratio(AIMED, "how", aimed)]
    return page.rows([Figure("a host", COLD, LIMITS[COLD] / 2, 7.0)], measured)


def test_the_page_has_each_figure_beside_what_is_allowed() -> None:
    text = page.text(rows(1.21), [page.Pair("ours", 10.0, "theirs", 40.0)], "abc1234")
    assert f"| {LIMITED} | how | 1.21 | 1.25 | at most {ratios.LIMITS[LIMITED]:.2f} |" in text
    assert f"| {BESIDE} | how | 2.00 |  | at least {LEAST[BESIDE]:.2f} |" in text
    assert f"| {AIMED} | how | 9.00 |  | at most {AIMS[AIMED]:.2f} (aim) |" in text
    assert "| ours | 10.0 | theirs | 40.0 | 0.25 |" in text
    assert "at commit `abc1234`" in text


def test_the_picture_has_a_bar_for_each_figure_as_long_as_its_share_and_marks_a_miss() -> None:
    kept, missed = (BARS.findall(page.picture(rows(value))) for value in (1.0, 2.0))
    first, limited, beside, aimed = (float(width) for _kind, width in kept)
    assert abs(limited / first - (1.0 / ratios.LIMITS[LIMITED]) / 0.5) < 0.01
    assert abs(beside / first - 0.5 / 0.5) < 0.01
    assert aimed > limited
    assert [kind for kind, _width in kept] == ["bar"] * 4
    assert [kind for kind, _width in missed] == ["bar", "missed", "bar", "bar"]


def test_a_peer_that_is_quicker_is_a_miss() -> None:
    assert Ratio(BESIDE, "how", 0.9).is_missed
    assert not Ratio(BESIDE, "how", 1.1).is_missed
    assert any(BESIDE in problem for problem in ratios.missed([Ratio(BESIDE, "how", 0.9)]))


def test_page_and_picture_are_written_together(tmp_path: Path) -> None:
    (tmp_path / "docs/images").mkdir(parents=True)
    page.write(tmp_path, rows(1.1), [], "abc1234")
    assert (tmp_path / page.PAGE).read_text(encoding="utf-8").count(LIMITED) == 1
    assert (tmp_path / page.PICTURE).read_text(encoding="utf-8").startswith("<!--")


def test_a_fleet_has_a_row_for_each_number_of_hosts() -> None:
    assert page.fleet([page.Run(1000, 250.0, 140.0, 99.5)])[-1] == "| 1,000 | 250.0 | 140.0 | 250 | 100 |"


def test_what_fleets_may_take_has_limits_of_its_own_and_a_place_in_the_guide() -> None:
    name = next(iter(ratios.FLEET_LIMITS))
    assert Ratio(name, "how", ratios.FLEET_LIMITS[name] * 2).is_missed
    assert len(ratios.missed([Ratio(name, "how", 1.0)], ratios.OF_FLEETS)) == len(ratios.OF_FLEETS) - 1
    marked_page.parted(
        (Path(__file__).resolve().parents[4] / "docs/fleet.md").read_text(encoding="utf-8"), page.FLEET_BEGIN, page.FLEET_END
    )

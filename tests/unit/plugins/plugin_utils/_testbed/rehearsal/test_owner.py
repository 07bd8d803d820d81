# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A driver that declines a device by what the machine has, too, does not own it; one that may have looked at empty registers does."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.comparison import Predicted, declined, row
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.owner import declines, owner_of
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.trace import BootTrace, parse

CARD, OTHER = "0000:00:0f.0", "0000:00:03.0"
OLD, NEW = "[ 2.1] {driver}: probe of {card} {end}", "[ 2.1] {driver} {card}: probe with driver {driver} {end}"
REJECTED = "rejects match -19"
ELSEWHERE, MEMORY, PORTS = "mapped 0xfeb00000", "mapped 0xfebd0010", "taken 0xc000"


def report(*steps: str, text: str = NEW) -> BootTrace:
    """Of steps such as `offered 8139too`, `mapped 0xfebd0000` and `rejects match -19`, each a second after the other."""
    lines, driver = [], ""
    for number, step in enumerate(steps, 1):
        kind, _blank, rest = step.partition(" ")
        before = f"@rehearsal trace modprobe-7{number} [000] ..... {number}.0: {kind}: (symbol+0x0/0x10) "
        if kind == "offered":
            driver = rest
            lines.append(f'{before}dev="{CARD}" drv="{driver}"')
            lines.append(f"@rehearsal log [ 1.0] bus: 'pci': really_probe: probing driver {driver} with device {CARD}")
        elif kind in ("mapped", "taken"):
            lines.append(f"{before}at={rest}")
        else:
            lines.append(f"@rehearsal log {text.format(driver=driver, card=CARD, end=step)}")
    windows = (
        f"{CARD} 0 0x000000000000c000 0x000000000000c0ff",
        f"{CARD} 1 0x00000000febd0000 0x00000000febd00ff",
        f"{OTHER} 0 0xfeb00000 0xfeb0ffff",
    )
    return parse("\n".join((*lines, *(f"@rehearsal window {one}" for one in windows), f"@rehearsal owner {CARD} ", "@rehearsal end")))


@pytest.mark.parametrize("text", [OLD, NEW])
@pytest.mark.parametrize(
    ("steps", "owner"),
    [
        ((ELSEWHERE, "offered 8139too", REJECTED), None),
        ((ELSEWHERE, "offered 8139too", "rejects match -6"), None),
        ((ELSEWHERE, "offered 8139too", REJECTED, "offered 8139cp", MEMORY, "failed with error -5"), "8139cp"),
        ((ELSEWHERE, "offered 8139too", ELSEWHERE, REJECTED), None),
        ((ELSEWHERE, "offered 8139too", MEMORY, REJECTED, "offered 8139cp", REJECTED), "8139too"),
        ((ELSEWHERE, "offered 8139too", PORTS, REJECTED), "8139too"),
        ((ELSEWHERE, "offered 8139too", "failed with error -5"), "8139too"),
        ((ELSEWHERE, "offered 8139too"), "8139too"),
        # Nothing is known about what is mapped.
        (("offered 8139too", REJECTED), "8139too"),
    ],
)
def test_who_owns_a_device_that_is_declined(steps: tuple[str, ...], owner: str | None, text: str) -> None:
    found = owner_of(report(*steps, text=text), CARD)
    assert (found.driver if found else None) == owner


def test_of_a_device_without_windows_nothing_is_concluded() -> None:
    found = report(ELSEWHERE, "offered 8139too", REJECTED)
    without = BootTrace(**{**vars(found), "windows": {OTHER: found.windows[OTHER]}})
    (one,) = declines(without, CARD)
    assert one.mapped
    owner = owner_of(without, CARD)
    assert owner is not None
    assert owner.driver == "8139too"


def test_a_rom_alone_is_not_a_window_of_registers() -> None:
    rom = f"@rehearsal window {CARD} 6 0xc0000 0xdffff"
    assert parse(f"{rom}\n@rehearsal end").windows == {}
    both = parse(f"{rom}\n@rehearsal window {CARD} 0 0xc000 0xc0ff\n@rehearsal end")
    assert both.windows == {CARD: (range(0xC0000, 0xE0000), range(0xC000, 0xC100))}


def test_a_forecast_is_not_wrong_because_of_a_driver_that_may_decline_on_the_host_too() -> None:
    boot = report(ELSEWHERE, "offered 8139too", MEMORY, REJECTED, "offered 8139cp", MEMORY, "failed with error -5")
    results = {
        driver: row(CARD, [boot], Predicted(driver, "certain", ()), None, None)["result"] for driver in (None, "8139cp", "8139too", "nvme")
    }
    assert results == {None: "varies", "8139cp": "varies", "8139too": "agrees", "nvme": "differs"}


def test_where_the_log_has_other_offers_than_the_trace_nothing_is_concluded() -> None:
    lines = f"@rehearsal log [ 0.5] bus: 'pci': really_probe: probing driver nouveau with device {CARD}\n"
    found = report(ELSEWHERE, "offered 8139too", REJECTED)
    assert declines(found, CARD)
    shortened = BootTrace(**{**vars(found), "log": {CARD: (*parse(f"{lines}@rehearsal end").log[CARD], *found.log[CARD])}})
    assert declines(shortened, CARD) == ()


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ((ELSEWHERE, "offered 8139too", REJECTED), "before it has mapped any register: on the host it does so, too, unless"),
        (
            (ELSEWHERE, "offered nvme", MEMORY, REJECTED),
            "whose it counts as: it may do so because of registers that are empty or missing here",
        ),
        ((ELSEWHERE, "offered nvme", MEMORY, "failed with error -5"), None),
        # Who comes later was asked here alone.
        ((ELSEWHERE, "offered nvme", "failed with error -5", "offered nvme", MEMORY, REJECTED), None),
    ],
)
def test_what_may_be_otherwise_on_the_host_is_said(steps: tuple[str, ...], said: str | None) -> None:
    found = declined(report(*steps), [CARD, OTHER])
    assert all(line.startswith(f"{CARD} is declined by {steps[1].split()[1]} (error -19)") and str(said) in line for line in found)
    assert len(found) == (said is not None)


@pytest.mark.parametrize(
    ("forecast", "claimed", "result", "stops"),
    [
        (Predicted(None, "certain", ()), None, "agrees", False),
        (Predicted("8139too", "certain", ()), None, "varies", False),
        (Predicted("8139cp", "certain", ()), None, "differs", True),
        (Predicted(None, "unknown", ()), None, "shown", False),
        (Predicted("8139too", "certain", ()), "8139too", "varies", True),
    ],
)
def test_the_row_of_a_declined_device(forecast: Predicted, claimed: str | None, result: str, stops: bool) -> None:
    found = row(CARD, [report(ELSEWHERE, "offered 8139too", REJECTED)], forecast, claimed, None)
    assert (found["result"], found["stops"], found["rehearsed"]) == (result, stops, None)


def test_a_claimed_device_is_not_lost_by_an_offer_that_another_driver_has_declined() -> None:
    boot = report(ELSEWHERE, "offered 8139too", REJECTED, "offered 8139cp", MEMORY, "failed with error -5")
    assert row(CARD, [boot], Predicted("8139cp", "certain", ()), "8139cp", None)["stops"] is False


def test_why_a_certain_forecast_is_not_said_to_be_wrong() -> None:
    found = row(CARD, [report(ELSEWHERE, "offered 8139too", REJECTED)], Predicted("8139too", "certain", ()), None, None)
    assert "the forecast was 8139too, certain, which has declined it here: on the host it does so, too, unless" in found["why"]

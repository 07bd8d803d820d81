# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from comparison_result import Status, compare

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import (
    CERTAIN,
    RACE,
    UNKNOWN,
    Certainty,
    Reason,
    StageName,
    Winner,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import ANOTHER

CARD = "0000:00:02.0"
BECAUSE = Reason("a file", "a line")


def predicted(
    driver: str | None, certainty: Certainty = CERTAIN, stage: StageName | None = "root", *others: str | None
) -> dict[str, Winner]:
    return {CARD: Winner(driver, certainty, stage, (BECAUSE,), (driver, *others))}


def boots(*drivers: str | None, stage: str = "root") -> dict[str, tuple[dict[str, str | None], dict[str, dict[str, str | None]]]]:
    """Boots that end so; the device got its driver in ``stage``."""
    order = ("kernel", "initramfs", "root", "runtime")
    then = {driver: {now: {CARD: driver if order.index(now) >= order.index(stage) else None} for now in order} for driver in drivers}
    return {f"boot {number}": ({CARD: driver}, then[driver]) for number, driver in enumerate(drivers)}


@pytest.mark.parametrize(
    ("winner", "seen", "status"),
    [
        (predicted("e1000e"), boots("e1000e"), Status.RIGHT),
        (predicted("e1000e"), boots("vfio-pci"), Status.WRONG),
        (predicted("e1000e"), boots("e1000e", "vfio-pci"), Status.WRONG),
        (predicted("e1000e"), boots("e1000e", stage="initramfs"), Status.WRONG),
        (predicted(None, CERTAIN, None), boots(None), Status.RIGHT),
        (predicted("e1000e", RACE, "root", "vfio-pci"), boots("vfio-pci"), Status.OPEN),
        (predicted("e1000e", RACE, "root", "vfio-pci"), boots("vfio-pci", "e1000e"), Status.SHOWN),
        (predicted("e1000e", RACE, "root", "vfio-pci"), boots(None), Status.WRONG),
        (predicted("e1000e", UNKNOWN), boots("vfio-pci"), Status.WRONG),
        (predicted("e1000e", UNKNOWN, "root", "vfio-pci"), boots("vfio-pci"), Status.UNKNOWN),
        (predicted("e1000e", UNKNOWN, "root", ANOTHER), boots("vfio-pci"), Status.UNKNOWN),
        ({}, boots("e1000e"), Status.WRONG),
        (predicted("e1000e"), {}, Status.WRONG),
    ],
)
def test_each_answer_is_compared_with_every_boot(winner: dict[str, Winner], seen, status: Status) -> None:
    assert [one.status for one in compare(winner, seen)] == [status]


def test_what_is_certain_without_a_reason_is_wrong_though_it_is_so() -> None:
    winner = {CARD: Winner("e1000e", CERTAIN, "root", (), ("e1000e",))}
    (found,) = compare(winner, boots("e1000e"))
    assert (found.status, found.why) == (Status.WRONG, "predicted e1000e without a reason")

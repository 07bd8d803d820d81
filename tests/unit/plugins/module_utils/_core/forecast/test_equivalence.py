# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which devices may share a forecast, and which may not."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Assigned, Later
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.distinctions import Distinctions
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.equivalence import DeviceClasses
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.surroundings import Surroundings
from ansible_collections.vfio.variants.tests.unit.boots import boot, device, udev_rules

COLDPLUG = 'ACTION=="add", ENV{MODALIAS}=="?*", RUN{builtin}+="kmod load"\n'
CARDS = [device(f"0000:0{number}:00.0") for number in "1abc"]
OVERRIDE = 'ACTION=="add", %s, ATTR{driver_override}="vfio-pci", RUN{builtin}+="kmod load vfio-pci"\n'


def classes(rules: str = COLDPLUG, later: Later = Later()) -> list[int]:  # noqa: B008 - frozen
    """How many devices there are in each class."""
    return [len(members) for members in DeviceClasses.of(CARDS, boot(rules=rules, later=later)).members.values()]


def test_cards_of_one_identity_are_alike_where_nothing_names_one() -> None:
    assert classes() == [4]
    assert classes(COLDPLUG + OVERRIDE % 'ATTR{device}=="0x1db1"') == [4]


@pytest.mark.parametrize(
    ("rule", "sizes"),
    [
        (OVERRIDE % 'KERNEL=="0000:0a:00.0"', [3, 1]),
        (OVERRIDE % 'KERNEL==i"0000:0A:00.0"', [3, 1]),
        (OVERRIDE % 'ENV{PCI_SLOT_NAME}=="0000:0a:00.0|0000:0b:00.0"', [2, 1, 1]),
        (OVERRIDE % 'KERNEL=="0000:0[^1]:00.0"', [1, 3]),
        (OVERRIDE % 'KERNEL=="0000:0[ab]:*"', [2, 2]),
        ('ACTION=="add", ATTR{[pci/0000:0c:00.0]driver_override}="vfio-pci"\n', [3, 1]),
        ('ACTION=="add", ATTR{[subsystem/pci]drivers_probe}="0000:0b:00.0"\n', [3, 1]),
    ],
)
def test_what_a_rule_names_is_in_a_class_of_its_own(rule: str, sizes: list[int]) -> None:
    assert classes(COLDPLUG + rule) == sizes


def test_so_is_what_driverctl_takes() -> None:
    assert classes(later=Later(driverctl={"0000:0b:00.0": Assigned("none", "/etc/driverctl.d/pci-0000:0b:00.0")})) == [3, 1]


@pytest.mark.parametrize("key", ['KERNEL==i"0000:0A:00.0"', 'KERNEL=="0000:0[^1bc]:00.0"', 'KERNEL=="0000:0a:00.?"'])
def test_a_rule_decides_for_those_only_that_it_matches(key: str) -> None:
    found = forecast(
        CARDS, boot(rules={"/usr/lib/udev/rules.d/80-drivers.rules": COLDPLUG, "/etc/udev/rules.d/90-a.rules": OVERRIDE % key})
    )
    assert {address for address, winner in found.items() if "vfio-pci" in winner.outcomes} == {"0000:0a:00.0"}


def test_cards_that_match_the_same_patterns_have_the_same_event() -> None:
    names = Distinctions.of(udev_rules(OVERRIDE % 'KERNEL=="0000:0[ab]:*"').rules, Surroundings())
    one, *others = (names.key(card) for card in CARDS)
    assert (others[0], others[2]) == (others[1], one)
    assert one != others[0]


def test_two_of_a_class_stand_for_all_of_it() -> None:
    found = DeviceClasses.of(CARDS, boot(rules=COLDPLUG + OVERRIDE % 'KERNEL=="0000:0c:00.0"'))
    assert [card.address for card in found.representatives] == ["0000:01:00.0", "0000:0c:00.0"]
    assert [card.address for card in found.samples] == ["0000:01:00.0", "0000:0a:00.0", "0000:0c:00.0"]

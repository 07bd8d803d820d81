# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which devices may share a forecast, and which may not."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Assigned, Later, Making
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.distinctions import Distinctions
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.equivalence import DeviceClasses
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.event_context import EventContext
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
    names = Distinctions.of(udev_rules(OVERRIDE % 'KERNEL=="0000:0[ab]:*"').rules, EventContext())
    one, *others = (names.key(card) for card in CARDS)
    assert (others[0], others[2]) == (others[1], one)
    assert one != others[0]


def test_two_of_a_class_stand_for_all_of_it() -> None:
    found = DeviceClasses.of(CARDS, boot(rules=COLDPLUG + OVERRIDE % 'KERNEL=="0000:0c:00.0"'))
    assert [card.address for card in found.representatives] == ["0000:01:00.0", "0000:0c:00.0"]
    assert [card.address for card in found.samples] == ["0000:01:00.0", "0000:0a:00.0", "0000:0c:00.0"]


ONE, TEN, ELEVEN, TWELVE = (card.address for card in CARDS)
TAKEN = Assigned("vfio-pci", "a file")


@pytest.mark.parametrize(
    ("facts", "sizes"),
    [
        ({"later": Later(may_take={TEN: TAKEN})}, [3, 1]),
        ({"later": Later(virtual_functions={TEN: Making(2, "a file")})}, [3, 1]),
        ({"held_by_built_in": {TEN: "x"}}, [3, 1]),
        ({"held_by_built_in": {ONE: "x", TEN: "y"}}, [1, 1, 2]),
        ({"held_by_built_in": {ONE: "x", TEN: "x"}}, [2, 2]),
        ({"declined": {TEN: frozenset(("x",))}}, [3, 1]),
        ({"declined": {ONE: frozenset(("x",)), TEN: frozenset(("y",))}}, [1, 1, 2]),
        ({"maybe_built_in": {TEN: ()}}, [3, 1]),
    ],
)
def test_what_is_known_of_one_card_alone_sets_it_apart(facts: dict[str, t.Any], sizes: list[int]) -> None:
    found = DeviceClasses.of(CARDS, dataclasses.replace(boot(rules=COLDPLUG), **facts))
    assert [len(members) for members in found.members.values()] == sizes


@pytest.mark.parametrize(
    ("rule", "sizes"),
    [
        (f'KERNEL!="{TEN}", NAME="x"\n', [3, 1]),
        (f'KERNELS=="{TEN}", NAME="x"\n', [3, 1]),
        (f'ATTR{{[pci/{TEN}]vendor}}=="0x10de", NAME="x"\n', [3, 1]),
        (f'ENV{{X}}=="{TEN}", NAME="x"\n', [4]),
        ('KERNEL=="0000:0?:*", NAME="x"\n', [4]),
    ],
)
def test_whatever_asks_for_an_address_sets_its_card_apart(rule: str, sizes: list[int]) -> None:
    assert classes(COLDPLUG + rule) == sizes


def test_another_identity_is_another_class() -> None:
    others = [device(ONE), device(TEN, subsystem="10de:1212"), device(ELEVEN, revision=0xFF), device(TWELVE, class_code=0x030000)]
    assert [len(members) for members in DeviceClasses.of([*others, device("0000:0d:00.0")], boot()).members.values()] == [2, 1, 1, 1]


def test_virtual_functions_go_with_those_of_their_own_card() -> None:
    functions = [
        device(f"0000:{bus}:10.{number}", physical_function=card)
        for bus, card, numbers in (("03", ONE, "02"), ("04", TEN, "0"))
        for number in numbers
    ]
    found = DeviceClasses.of([*CARDS, *functions], boot())
    assert [[card.address for card in members] for members in found.members.values()] == [
        [ONE],
        [TEN],
        [ELEVEN, TWELVE],
        ["0000:03:10.0", "0000:03:10.2"],
        ["0000:04:10.0"],
    ]


def test_cards_below_another_bridge_are_others_where_a_rule_removes_devices() -> None:
    """With a bridge all that is below it goes."""
    cards = [device(f"0000:0{n}:00.0", path=f"/devices/pci0000:00/0000:00:0{n}.0/0000:0{n}:00.0") for n in (1, 2)]
    remove = 'KERNEL=="0000:99:00.0", ATTR{remove}="1"\n'
    assert [len(DeviceClasses.of(cards, boot(rules=COLDPLUG + rule)).members) for rule in ("", remove)] == [1, 2]

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines that give a claim's device nodes to an account at boot, and raise its limit on locked memory."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.node import Node
from ansible_collections.vfio.variants.plugins.module_utils._core.pci import selector as selectors
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import Decision, DriverChoice
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.node_rules import handed_by, limit_lines, node_lines
from ansible_collections.vfio.variants.tests.unit.boots import device

CARD = device("0000:3b:00.0")
QEMU = Node("qemu", "kvm", 0o660)


def lines(written: str, node: Node = QEMU) -> tuple[str, ...]:
    matching = tuple(selectors.parse(written, "devices"))
    decided = Decision(CARD, Claim(matching), matching, "override", (DriverChoice("6.12", "vfio_pci", "vfio-pci"),))
    return node_lines((decided,), {CARD.address: node})


def test_the_node_of_a_group_and_that_of_a_card_are_given() -> None:
    gives = ('OWNER="qemu"', 'GROUP="kvm"', 'MODE="0660"')
    its, groups = "[pci/0000:3b:00.0]", "/sys/kernel/iommu_groups/%k/devices"
    of_group, of_card = lines("0000:3b:00.0")
    assert of_group.split(", ") == [
        'ACTION=="add|change"',
        'SUBSYSTEM=="vfio"',
        f'TEST=="{groups}/0000:3b:00.0"',
        f'ATTR{{{its}vendor}}=="0x10de"',
        f'ATTR{{{its}device}}=="0x1db1"',
        *gives,
    ]
    assert of_card.split(", ") == [
        'ACTION=="add|change"',
        'SUBSYSTEM=="vfio-dev"',
        'KERNELS=="0000:3b:00.0"',
        'SUBSYSTEMS=="pci"',
        'ATTRS{vendor}=="0x10de"',
        'ATTRS{device}=="0x1db1"',
        *gives,
    ]


def test_a_card_that_was_not_named_by_its_place_may_be_elsewhere() -> None:
    assert "KERNELS" not in lines("10de:1db1")[1]


def test_a_device_without_an_account_has_no_line() -> None:
    assert node_lines((), {CARD.address: QEMU}) == ()


def test_what_a_policy_hands_over_is_read_back_from_its_rules() -> None:
    assert handed_by("\n".join(("# a comment", *lines("10de:1db1"), ""))) == {CARD.address: QEMU}


@pytest.mark.parametrize(
    ("limits", "largest"),
    [
        (("1000", "65536"), "65536"),
        (("65536", "1000"), "65536"),
        (("9", "10"), "10"),
        (("unlimited", "65536"), "unlimited"),
        (("0", "0"), "0"),
    ],
)
def test_of_several_limits_of_one_account_the_largest_counts(limits: tuple[str, ...], largest: str) -> None:
    assert limit_lines(Node("qemu", "kvm", memlock=limit) for limit in limits) == (f"qemu - memlock {largest}",)


def test_a_group_has_the_limit_where_root_owns_the_node_and_none_is_set_where_none_is_given() -> None:
    given = (Node("root", "kvm", memlock="100"), Node("alice", "kvm", memlock="200"), Node("bob", "kvm"))
    assert limit_lines(given) == ("@kvm - memlock 100", "alice - memlock 200")

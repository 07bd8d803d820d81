# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a claim may say of its device nodes."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.asked_nodes import nodes_of
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import parse
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.node import Node, parse_node
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

GPU, AUDIO, NIC = "0000:01:00.0", "0000:01:00.1", "0000:02:00.0"


@pytest.mark.parametrize(
    ("given", "node"),
    [
        ({"owner": "qemu"}, Node("qemu", "root", 0o600)),
        ({"group": "kvm"}, Node("root", "kvm", 0o660)),
        ({"owner": "qemu", "group": "kvm", "mode": "0640"}, Node("qemu", "kvm", 0o640)),
        ({"mode": "666"}, Node(mode=0o666)),
        ({"mode": 0o660}, Node(mode=0o660)),
        ({"owner": 64055, "group": "36"}, Node("64055", "36", 0o660)),
        ({"owner": 0, "group": "4294967294"}, Node("root", "4294967294", 0o660)),
        ({"owner": "qemu", "memlock": "64G"}, Node("qemu", memlock=str(64 << 20))),
        ({"group": "kvm", "memlock": "unlimited"}, Node("root", "kvm", 0o660, "unlimited")),
        ({"owner": "qemu", "mode": None}, Node("qemu")),
    ],
)
def test_what_can_be_asked_for(given: dict[str, t.Any], node: Node) -> None:
    assert parse_node(given, "node") == node


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("qemu", "node: "),
        ({}, "node: "),
        ({"memlock": "1G"}, "node: "),
        ({"user": "qemu"}, "node: "),
        ({"owner": "a b"}, "node.owner: "),
        ({"owner": "$attr{x}"}, "node.owner: "),
        ({"owner": 'x", RUN+="/bin/sh'}, "node.owner: "),
        ({"owner": True}, "node.owner: "),
        ({"group": "-1"}, "node.group: "),
        # For chown() and for udev these are no account at all.
        ({"owner": 4294967295}, "node.owner: "),
        ({"group": "65535"}, "node.group: "),
        ({"owner": "4294967296"}, "node.owner: "),
        ({"mode": "u=rw"}, "node.mode: "),
        ({"mode": 660}, "node.mode: "),
        ({"mode": "0777"}, "node.mode: "),
        ({"mode": "08"}, "node.mode: "),
        ({"mode": -1}, "node.mode: "),
        ({"mode": True}, "node.mode: "),
        ({"owner": "qemu", "memlock": "64"}, "node.memlock: "),
        ({"owner": "qemu", "memlock": "-1G"}, "node.memlock: "),
        ({"mode": "0600", "memlock": "1G"}, "node.memlock: "),
        ({"owner": "0", "memlock": "1G"}, "node.memlock: "),
    ],
)
def test_anything_else_is_refused_by_its_name(given: object, place: str) -> None:
    with pytest.raises(HostError) as error:
        parse_node(given, "node")
    assert str(error.value).startswith(place)


def found(tmp_path: Path, *claims: dict[str, t.Any]) -> dict[str, Node]:
    tree = Tree(tmp_path).pci(GPU, group=1).pci(AUDIO, "10de:10f7", group=1).pci(NIC, "8086:10d3", group=2)
    return nodes_of(parse(claims), Inventory.read(tree.host()))


def test_each_device_of_a_claim_has_the_node_of_its_claim(tmp_path: Path) -> None:
    asked = found(tmp_path, {"devices": [GPU, AUDIO], "node": {"owner": "qemu"}}, {"devices": NIC})
    assert asked == dict.fromkeys((GPU, AUDIO), Node("qemu"))


@pytest.mark.parametrize("class_code", [0x060400, 0x060100])
def test_a_bridge_that_a_wildcard_matches_has_no_node(tmp_path: Path, class_code: int) -> None:
    tree = Tree(tmp_path).pci(GPU, group=1).pci("0000:00:01.0", "10de:0001", class_code=class_code, group=2)
    claims = parse([{"devices": "10de:*", "node": {"owner": "qemu"}}])
    assert set(nodes_of(claims, Inventory.read(tree.host()))) == {GPU}


def test_two_claims_may_agree_about_a_group(tmp_path: Path) -> None:
    same = {"node": {"group": "kvm"}}
    assert set(found(tmp_path, {"devices": GPU, **same}, {"devices": AUDIO, **same})) == {GPU, AUDIO}


def test_devices_without_an_iommu_group_share_no_node(tmp_path: Path) -> None:
    tree = Tree(tmp_path).pci(GPU).pci(NIC, "8086:10d3")
    claims = parse([{"devices": GPU, "node": {"group": "kvm"}}, {"devices": NIC, "node": {"owner": "qemu"}}])
    assert set(nodes_of(claims, Inventory.read(tree.host()))) == {GPU, NIC}


@pytest.mark.parametrize("other", [GPU, AUDIO])
def test_two_claims_that_disagree_about_a_device_or_its_group_are_refused(tmp_path: Path, other: str) -> None:
    with pytest.raises(HostError, match=r"claims\[0\]\.node and .* by claims\[1\]\.node"):
        found(tmp_path, {"devices": GPU, "node": {"group": "kvm"}}, {"devices": other, "node": {"owner": "qemu"}})


def test_the_limit_is_for_the_owner_or_else_for_the_group() -> None:
    assert Node("qemu", "kvm").limited == "qemu"
    assert dataclasses.replace(Node("qemu", "kvm"), owner="root").limited == "@kvm"


def test_an_account_without_a_name_has_its_limit_by_its_number() -> None:
    # limits.conf(5): a number without a colon is a name.
    assert Node("64055", "36").limited == ":64055"
    assert Node("root", "36").limited == "@:36"

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cards beside the way of a route, a tunnel or a pair of interfaces are not kept for its sake."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit.lockout_hosts import CARD, Host
from ansible_collections.vfio.variants.tests.unit.lockout_indirect import ip, isa, nexthops, nic, other_nic, veth, virtual
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info, device_claim
from ansible_collections.vfio.variants.tests.unit.policy_hosts import run

if t.TYPE_CHECKING:
    from pathlib import Path


def guards_of(host: Host, devices: str = CARD) -> set[str]:
    (device,) = claim_info(host.tree.host(host.commands()), devices=devices, driver="vfio-pci", kernels=["all"])["devices"]
    return {found["guard"] for found in device["guards"]}


def of_other_objects(host: Host) -> Host:
    return nexthops(host, {"dst": "default", "nhid": 11, "flags": []})


def of_a_number_without_object(host: Host) -> Host:
    return nexthops(host, {"dst": "default", "nhid": 77, "flags": []})


def of_a_group_of_itself(host: Host) -> Host:
    """No kernel makes one."""
    return ip(nic(host), route=[{"dst": "default", "nhid": 20}], nexthop=[{"id": 20, "group": [{"id": 20}, {"id": "x"}, 7]}])


def to_one_network(host: Host) -> Host:
    """A route to a large network is not one to everywhere."""
    return nic(host).route("enp3s0", "0000000A", mask="000000FF")


def over_the_other_card(host: Host) -> Host:
    """A tunnel that is bound to another card, whose other end is in a network of that card."""
    other_nic(virtual(nic(host), "vxlan100", "vxlan", 9, 5)).file("/sys/devices/pci0000:05/0000:05:00.0/net/eth9/ifindex", "5\n")
    return host.route("vxlan100", "0000090A", "00000000", "00FFFFFF").ssh("10.9.0.9", "10.9.0.5")


def in_another_bridge(host: Host) -> Host:
    """A pair of veth that joins two other bridges."""
    other_nic(nic(host)).interface("br0").interface("br1").interface("br2")
    veth(host)
    return host.over("veth0", "br0").over("veth1", "br2").over("enp3s0", "br1").route("br0")


def beside_a_container(host: Host) -> Host:
    """The card is a container's, and the host has its default route over its own."""
    host.function("nic").folder("net")
    return other_nic(virtual(host, "veth0", "", 20, 2))


@pytest.mark.parametrize(
    ("build", "guards"),
    [
        (of_other_objects, set()),
        (of_a_number_without_object, set()),
        (of_a_group_of_itself, set()),
        (to_one_network, set()),
        (over_the_other_card, set()),
        (in_another_bridge, {"in_use"}),
        (beside_a_container, {"in_use"}),
    ],
)
def test_a_card_beside_the_way_is_not_on_it(tmp_path: Path, build: t.Callable[[Host], Host], guards: set[str]) -> None:
    host = Host(tmp_path)
    build(host)
    assert guards_of(host) == guards


@pytest.mark.parametrize("number", ["", "x", "-1", "9" * 400])
def test_numbers_of_interfaces_that_are_none_join_nothing(tmp_path: Path, number: str) -> None:
    host = nic(Host(tmp_path)).interface("br1")
    for name in ("veth0", "veth1"):
        virtual(host, name).file(f"/sys/devices/virtual/net/{name}/iflink", f"{number}\n")
    host.over("enp3s0", "br1").over("veth1", "br1").route("veth0")
    # Of an interface that says nothing of itself it is not certain where its traffic goes.
    assert guards_of(host) == {"in_use", "route"}


def companions(root: Path, driver: str | None) -> Host:
    host = Host(root)
    isa(host)
    host.tree.pci("0000:03:00.1", "8086:a2f0", class_code=0x040300, driver=None, group=3)
    host.tree.pci(CARD, "8086:a2c6", class_code=0x060100, driver=driver, group=3)
    return host


def test_a_bridge_to_older_buses_without_a_driver_stays_where_it_is(tmp_path: Path) -> None:
    host = companions(tmp_path, None)
    done = device_claim(host.tree.host(host.commands()), True, devices="0000:03:00.1", driver="vfio-pci")
    assert [device["address"] for device in done["devices"]] == ["0000:03:00.1"]
    assert CARD not in str(run(host.tree, {"devices": "0000:03:00.1", "driver": "vfio-pci"}, check=True)["diff"])


def test_with_a_driver_it_comes_along_only_if_the_claim_says_so(tmp_path: Path) -> None:
    host = companions(tmp_path, "lpc_ich")
    given = {"devices": "0000:03:00.1", "driver": "vfio-pci"}
    with pytest.raises(HostError, match="would lose its driver lpc_ich"):
        device_claim(host.tree.host(host.commands()), True, **given)
    assert device_claim(host.tree.host(host.commands()), True, **given, guards={"companions": "ignore"})["changed"]

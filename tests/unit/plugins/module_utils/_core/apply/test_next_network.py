# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces that are down now, or whose card has another driver, and that are configured to come up at the next boot."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.guard_table import IGNORE, OPTIONAL
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.next_route import UNKNOWN
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit.lockout_hosts import CARD, OTHER, Host
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info, device_claim
from ansible_collections.vfio.variants.tests.unit.next_network_hosts import (
    ALONE,
    IFCFG,
    INTERFACES,
    MAC,
    STATIC,
    ifupdown,
    manager,
    netplan,
    networkd,
    openrc,
    other,
    started,
)
from ansible_collections.vfio.variants.tests.unit.next_network_others import NOT_NAMED, UNREAD, WARNED
from ansible_collections.vfio.variants.tests.unit.policy_hosts import contents, run

if t.TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """The claimed card's interface is down, and the host has no default route."""
    made = Host(tmp_path).nic()
    return made.file(f"{made.card}/net/enp3s0/operstate", "down\n").file(f"{made.card}/net/enp3s0/address", f"{MAC}\n")


def next_boot(host: Host, devices: t.Any = CARD, check: bool = True, guards: dict[str, str] | None = None) -> dict[str, t.Any]:
    return run(host.tree, {"devices": devices, "driver": "vfio-pci", "guards": guards or {}}, check=check)


def guards(host: Host) -> list[tuple[str, str, str]]:
    (device,) = claim_info(host.tree.host(host.commands()), devices=CARD, driver="vfio-pci", kernels=["all"])["devices"]
    return [(found["guard"], found["action"], found["what"]) for found in device["guards"]]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", ALONE)
def test_the_only_default_route_of_the_next_boot_stays(host: Host, name: str) -> None:
    build, where = ALONE[name]
    build(host)
    before = contents(host.tree)
    what = f"at the next boot it alone is to have the default route ({where})"
    for check in (True, False):
        with pytest.raises(HostError) as caught:
            next_boot(host, check=check, guards=dict.fromkeys(OPTIONAL, IGNORE))
        assert caught.value.msg == f"{CARD} (8086:10d3) keeps this host running: {what}."
        assert caught.value.hint == "Nothing overrides this; let no claim match that device."
    assert contents(host.tree) == before
    assert guards(host) == [("route", "refuse", what)]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", ALONE)
def test_of_now_nothing_is_lost_with_it(host: Host, name: str) -> None:
    ALONE[name][0](host)
    assert device_claim(host.tree.host(host.commands()), True, devices=CARD, driver="vfio-pci")["changed"]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", ALONE)
def test_with_another_default_route_it_is_only_said(host: Host, name: str) -> None:
    """Nothing here says who brings that one up."""
    ALONE[name][0](other(host).route("enp4s0"))
    (said,) = [warning for warning in next_boot(host)["warnings"] if "next boot" in warning]
    assert said.startswith(f"{CARD} (8086:10d3) gets another driver, but ")
    assert ALONE[name][1] in said
    assert [action for guard, action, _what in guards(host) if guard == "route"] == ["warn"]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", ALONE)
def test_another_interface_that_is_to_have_one_counts(host: Host, name: str) -> None:
    ALONE[name][0](host)
    other(host)
    networkd(host, **{"00": "[Match]\nName=enp4s0\n[Network]\nDHCP=yes\n"})
    assert next_boot(host)["changed"]


def test_it_does_not_count_if_it_is_claimed_as_well(host: Host) -> None:
    networkd(other(host), both="[Match]\nName=enp4s0 enp3s0\n[Network]\nDHCP=yes\n")
    assert next_boot(host)["changed"]
    with pytest.raises(HostError, match="1 other device is refused as well"):
        next_boot(host, [CARD, OTHER])


def test_a_companion_counts(host: Host) -> None:
    ALONE["ifupdown"][0](host)
    host.function("gpu", OTHER, group=3)
    claim = {"devices": OTHER, "driver": "vfio-pci", "guards": dict.fromkeys(OPTIONAL, IGNORE)}
    with pytest.raises(HostError, match=f"{CARD} .* it alone is to have the default route"):
        run(host.tree, claim, check=True)


def test_a_card_whose_driver_is_blacklisted_counts(host: Host) -> None:
    ALONE["ifupdown"][0](host.function("nic", OTHER))
    claim = {"devices": OTHER, "driver": "vfio-pci", "strategy": "blacklist"}
    with pytest.raises(HostError, match=f"{CARD} .* it alone is to have the default route"):
        run(host.tree, claim, check=True, allow_shared_native=True)


@pytest.mark.parametrize("driver", [None, "uio_pci_generic"])
def test_a_card_with_another_driver_now_is_known_by_its_place(tmp_path: Path, driver: str | None) -> None:
    host = ifupdown(Host(tmp_path).function("nic", driver=driver), f"auto enp3s0\niface enp3s0 inet static\n  {STATIC}")
    with pytest.raises(HostError, match="at the next boot it alone is to have the default route"):
        next_boot(host)


def test_a_card_that_has_the_claimed_driver_is_named(tmp_path: Path) -> None:
    host = ifupdown(Host(tmp_path).function("nic", driver="vfio-pci"), f"auto enp3s0\niface enp3s0 inet static\n  {STATIC}")
    (said,) = [warning for warning in next_boot(host)["warnings"] if "next boot" in warning]
    assert "it alone is to have the default route" in said


@pytest.mark.parametrize(("driver", "asked"), [("vfio-pci", False), (None, True)])
def test_no_command_is_asked_about_a_card_that_has_the_claimed_driver(tmp_path: Path, driver: str | None, asked: bool) -> None:
    """A run that has asked one leaves no record."""
    host = ifupdown(other(Host(tmp_path).function("nic", driver=driver)), f"auto enp3s0\niface enp3s0 inet static\n  {STATIC}")
    route = '[{"dst": "default", "dev": "enp4s0"}]'
    host.tree.file("/usr/sbin/ip", f"#!/bin/sh\n: > {host.tree.place('/asked')}\necho '{route}'\n", mode=0o755)
    assert any("it alone is to have the default route" in warning for warning in next_boot(host)["warnings"])
    assert host.tree.place("/asked").exists() == asked


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", NOT_NAMED)
def test_what_does_not_name_the_card_says_nothing(host: Host, name: str) -> None:
    NOT_NAMED[name](host)
    result = next_boot(host)
    assert not [warning for warning in result["warnings"] if "next boot" in warning]
    assert not [found for found in guards(host) if found[0] == "route"]


@pytest.mark.parametrize("name", WARNED)
def test_what_is_not_certain_is_only_said(host: Host, name: str) -> None:
    WARNED[name](host)
    assert [warning for warning in next_boot(host)["warnings"] if "next boot" in warning]
    assert [action for guard, action, _what in guards(host) if guard == "route"] == ["warn"]


def test_openrc_starts_ifupdown(host: Host) -> None:
    openrc(host).program("/etc/init.d/networking", "ifup -a").linked("/etc/runlevels/boot/networking", "/etc/init.d/networking")
    host.file(INTERFACES, f"auto enp3s0\niface enp3s0 inet static\n  {STATIC}")
    with pytest.raises(HostError, match="at the next boot it alone is to have the default route"):
        next_boot(host)


@pytest.mark.parametrize("name", UNREAD)
def test_a_program_that_is_not_read_is_named(host: Host, name: str) -> None:
    UNREAD[name](host)
    what = f"{UNKNOWN}: {name} starts then, and what it configures is not read"
    assert [warning for warning in next_boot(host)["warnings"] if "next boot" in warning] == [
        f"{CARD} (8086:10d3) gets another driver, but {what}."
    ]
    assert [found for found in guards(host) if found[0] == "route"] == [("route", "warn", what)]


def test_a_radio_card_whose_program_asks_for_an_address_is_named(tmp_path: Path) -> None:
    host = Host(tmp_path).nic("wlan0").file("/etc/iwd/main.conf", "[General]\nEnableNetworkConfiguration=true\n")
    started(host, "iwd.service").file(f"{host.card}/net/wlan0/operstate", "down\n")
    assert [warning for warning in next_boot(host)["warnings"] if "iwd.service starts then" in warning]


@pytest.mark.parametrize("name", UNREAD)
def test_it_is_not_named_where_something_else_has_a_route(host: Host, name: str) -> None:
    UNREAD[name](other(host).route("enp4s0"))
    assert not [warning for warning in next_boot(host)["warnings"] if "next boot" in warning]


@pytest.mark.parametrize("name", UNREAD)
def test_it_is_not_named_where_something_else_is_to_have_one(host: Host, name: str) -> None:
    UNREAD[name](netplan(other(host), "network:\n  ethernets:\n    enp4s0:\n      dhcp4: true\n"))
    assert not [warning for warning in next_boot(host)["warnings"] if "next boot" in warning]


@pytest.mark.parametrize(
    "text",
    [
        "iface",
        "auto",
        "iface enp3s0",
        "source",
        "source /etc/network/interfaces",
        "source-directory /dev",
        "\0",
        "iface " + "x" * 100_000,
        "a\n" * 60_000,
        "- " * 130_000,
        "a" + " " * 260_000 + "b",
        "[Match]\nName=x\n" * 15_000,
        "[Match]\n" + "Kind=x\n" * 30_000,
    ],
)
def test_a_file_that_says_nothing_is_none(host: Host, text: str) -> None:
    ifupdown(host, text)
    networkd(host, odd=text)
    manager(host, text)
    netplan(host, text)
    host.file(f"{IFCFG}/ifcfg-odd", text)
    assert next_boot(host)["changed"]

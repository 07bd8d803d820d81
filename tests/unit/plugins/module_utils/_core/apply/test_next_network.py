# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces that are down now, or whose card has another driver, and that are configured to come up at the next boot."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.guard_table import IGNORE, OPTIONAL
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit.lockout_hosts import CARD, OTHER, Host
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info, device_claim
from ansible_collections.vfio.variants.tests.unit.policy_hosts import contents, run

if t.TYPE_CHECKING:
    from pathlib import Path

WANTS = "/etc/systemd/system/multi-user.target.wants"
INTERFACES = "/etc/network/interfaces"
NETWORKD = "/etc/systemd/network"
CONNECTIONS = "/etc/NetworkManager/system-connections"
IFCFG = "/etc/sysconfig/network-scripts"
MAC = "52:54:00:aa:bb:cc"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """The claimed card's interface is down, and the host has no default route."""
    made = Host(tmp_path).nic()
    return made.file(f"{made.card}/net/enp3s0/operstate", "down\n").file(f"{made.card}/net/enp3s0/address", f"{MAC}\n")


def started(host: Host, *units: str) -> Host:
    for unit in units:
        host.linked(f"{WANTS}/{unit}", f"/usr/lib/systemd/system/{unit}")
    return host


def ifupdown(host: Host, text: str) -> Host:
    return started(host, "networking.service").file(INTERFACES, text)


def networkd(host: Host, **files: str) -> Host:
    started(host, "systemd-networkd.service")
    for name, text in files.items():
        host.file(f"{NETWORKD}/{name}.network", text)
    return host


def manager(host: Host, *profiles: str) -> Host:
    started(host, "NetworkManager.service")
    for number, text in enumerate(profiles):
        host.file(f"{CONNECTIONS}/p{number}.nmconnection", text)
    return host


def netplan(host: Host, text: str) -> Host:
    return host.file("/usr/lib/systemd/system-generators/netplan", "").file("/etc/netplan/50-cloud-init.yaml", text)


def other(host: Host) -> Host:
    """Another card with an interface."""
    host.function("nic", OTHER, id="8086:1533")
    return host.interface("enp4s0", f"/sys/devices/pci0000:04/{OTHER}")


STATIC = "address 10.0.0.5/24\n  gateway 10.0.0.1\n"
BRIDGE = (
    f"auto lo\niface lo inet loopback\niface enp3s0 inet manual\nauto vmbr0\niface vmbr0 inet static\n  {STATIC}  bridge-ports enp3s0\n"
)
BOND = (
    f"auto enp3s0\niface enp3s0 inet manual\n  bond-master bond0\nauto bond0\niface bond0 inet manual\n  bond-slaves enp3s0\n"
    f"auto bond0.7\niface bond0.7 inet static\n  {STATIC}"
)
UUID = "1b9c4e0a-0000-4000-8000-000000000001"
ALONE: dict[str, tuple[t.Callable[[Host], object], str]] = {
    "ifupdown": (lambda host: ifupdown(host, f"auto enp3s0\niface enp3s0 inet static\n  {STATIC}"), f"{INTERFACES}:2"),
    "ifupdown, once the cable is there": (lambda host: ifupdown(host, "allow-hotplug enp3s0\niface enp3s0 inet dhcp\n"), f"{INTERFACES}:2"),
    "ifupdown with a pattern of what comes up": (
        lambda host: ifupdown(host, f"auto /enp*\niface enp3s0 inet static\n {STATIC}"),
        f"{INTERFACES}:2",
    ),
    "ifupdown in another file": (
        lambda host: ifupdown(host, "source /etc/network/interfaces.d/*\n").file(
            "/etc/network/interfaces.d/lan", "auto enp3s0\niface enp3s0 inet6 auto\n"
        ),
        "/etc/network/interfaces.d/lan:2",
    ),
    "ifupdown with a route by a command": (
        lambda host: ifupdown(host, "auto enp3s0\niface enp3s0 inet static\n address 10.0.0.5/24\n up ip route add default via 10.0.0.1\n"),
        f"{INTERFACES}:2",
    ),
    "a bridge for guests": (lambda host: ifupdown(host, BRIDGE), f"{INTERFACES}:5"),
    "a VLAN on a bond": (lambda host: ifupdown(host, BOND), f"{INTERFACES}:8"),
    "a bond that its part names": (
        lambda host: ifupdown(
            host,
            f"auto enp3s0\niface enp3s0 inet manual\n bond-master bond0\nauto bond0\niface bond0 inet static\n {STATIC} bond-slaves none\n",
        ),
        f"{INTERFACES}:5",
    ),
    "a route to everything of a profile": (
        lambda host: manager(
            host,
            "[connection]\ntype=ethernet\ninterface-name=enp3s0\n[ipv4]\nmethod=manual\naddress1=10.0.0.5/24\nroute1=0.0.0.0/0,10.0.0.1\n",
        ),
        f"{CONNECTIONS}/p0.nmconnection",
    ),
    "networkd by name": (
        lambda host: networkd(host, lan="[Match]\nName=enp3s0\n[Network]\nAddress=10.0.0.5/24\nGateway=10.0.0.1\n"),
        f"{NETWORKD}/lan.network",
    ),
    "networkd by the hardware address, in capitals": (
        lambda host: networkd(host, lan=f"[Match]\nMACAddress={MAC.upper()}\n[Network]\nDHCP=ipv4\n"),
        f"{NETWORKD}/lan.network",
    ),
    "networkd by the place": (
        lambda host: networkd(host, lan=f"[Match]\nPath=pci-{CARD}\n[Network]\nDHCP=yes\n"),
        f"{NETWORKD}/lan.network",
    ),
    "networkd with a bridge": (
        lambda host: networkd(host, port="[Match]\nName=enp3s0\n[Network]\nBridge=br0\n", br0="[Match]\nName=br0\n[Network]\nDHCP=yes\n"),
        f"{NETWORKD}/br0.network",
    ),
    "networkd with a route of its own section, in a drop-in": (
        lambda host: networkd(host, lan="[Match]\nName=enp3s0\n[Network]\nAddress=10.0.0.5/24\n").file(
            f"{NETWORKD}/lan.network.d/route.conf", "[Route]\nGateway=10.0.0.1\n"
        ),
        f"{NETWORKD}/lan.network",
    ),
    "NetworkManager by name": (
        lambda host: manager(host, "[connection]\ntype=ethernet\ninterface-name=enp3s0\n[ipv4]\nmethod=auto\n"),
        f"{CONNECTIONS}/p0.nmconnection",
    ),
    "NetworkManager by the hardware address": (
        lambda host: manager(
            host,
            f"[connection]\ntype=ethernet\n[ethernet]\nmac-address={MAC.upper()}\n[ipv4]\nmethod=manual\naddress1=10.0.0.5/24,10.0.0.1\n",
        ),
        f"{CONNECTIONS}/p0.nmconnection",
    ),
    "NetworkManager with a bridge": (
        lambda host: manager(
            host,
            f"[connection]\nuuid={UUID}\ntype=bridge\ninterface-name=br0\n[ipv4]\nmethod=auto\n",
            f"[connection]\ntype=ethernet\ninterface-name=enp3s0\ncontroller={UUID}\nport-type=bridge\n",
        ),
        f"{CONNECTIONS}/p0.nmconnection",
    ),
    "ifcfg of Red Hat": (
        lambda host: started(host, "NetworkManager.service").file(
            f"{IFCFG}/ifcfg-lan", "DEVICE=enp3s0\nONBOOT=yes\nBOOTPROTO=none\nIPADDR=10.0.0.5\nGATEWAY=10.0.0.1\n"
        ),
        f"{IFCFG}/ifcfg-lan",
    ),
    "ifcfg of SUSE with the common routes": (
        lambda host: (
            started(host, "wicked.service")
            .file("/etc/sysconfig/network/ifcfg-enp3s0", "STARTMODE='auto'\nBOOTPROTO='static'\nIPADDR='10.0.0.5/24'\n")
            .file("/etc/sysconfig/network/routes", "default 10.0.0.1 - -\n")
        ),
        "/etc/sysconfig/network/ifcfg-enp3s0",
    ),
    "ifcfg of SUSE with a bridge": (
        lambda host: (
            started(host, "wicked.service")
            .file("/etc/sysconfig/network/ifcfg-br0", "STARTMODE=auto\nBOOTPROTO=dhcp\nBRIDGE=yes\nBRIDGE_PORTS='enp3s0'\n")
            .file("/etc/sysconfig/network/ifcfg-enp3s0", "STARTMODE=auto\nBOOTPROTO=none\n")
        ),
        "/etc/sysconfig/network/ifcfg-br0",
    ),
    "netplan as cloud-init writes it": (
        lambda host: netplan(
            host, f'network:\n  version: 2\n  ethernets:\n    eth0:\n      match:\n        macaddress: "{MAC}"\n      dhcp4: true\n'
        ),
        "/etc/netplan/50-cloud-init.yaml:4",
    ),
    "netplan with a bridge over a card that it knows by its address": (
        lambda host: netplan(
            host,
            f"network:\n  ethernets:\n    lan:\n      match: \n        macaddress: '{MAC}'\n  bridges:\n    br0:\n      dhcp4: true\n"
            "      interfaces:\n        - lan\n",
        ),
        "/etc/netplan/50-cloud-init.yaml:7",
    ),
    "networkd beside what systemd brings for containers": (
        lambda host: (
            networkd(host, lan="[Match]\nName=enp3s0\n[Network]\nDHCP=yes\n")
            .file("/usr/lib/systemd/network/80-container-host0.network", "[Match]\nKind=veth\nName=host0\n[Network]\nDHCP=yes\n")
            .file("/usr/lib/systemd/network/80-vm-vt.network", "[Match]\nName=vt-*\n[Network]\nDHCP=yes\n")
        ),
        f"{NETWORKD}/lan.network",
    ),
    "netplan with a bridge and a route": (
        lambda host: netplan(
            host,
            "network:\n  ethernets:\n    enp3s0: {}\n  bridges:\n    br0:\n      interfaces: [enp3s0]\n      addresses:\n"
            "      - 10.0.0.5/24\n      routes:\n      - to: default\n        via: 10.0.0.1\n",
        ),
        "/etc/netplan/50-cloud-init.yaml:5",
    ),
    "a name that udev gives the card for its slot": (
        lambda host: ifupdown(host, "auto ens5\niface ens5 inet dhcp\n").file("/sys/bus/pci/slots/5/address", "0000:03:00\n"),
        f"{INTERFACES}:2",
    ),
    "a name that udev gives the card for the firmware's number": (
        lambda host: ifupdown(host, "auto eno2\niface eno2 inet dhcp\n").file(f"{host.card}/acpi_index", "2\n"),
        f"{INTERFACES}:2",
    ),
    "a name that udev gives the card's port": (
        lambda host: ifupdown(host, "auto enp3s0f0np0\niface enp3s0f0np0 inet dhcp\n"),
        f"{INTERFACES}:2",
    ),
    "the other card has an address and no route": (
        lambda host: ifupdown(
            other(host), f"auto enp3s0\niface enp3s0 inet static\n  {STATIC}auto enp4s0\niface enp4s0 inet static\n address 10.1.0.5/24\n"
        ),
        f"{INTERFACES}:2",
    ),
}


def next_boot(host: Host, devices: t.Any = CARD, check: bool = True, guards: dict[str, str] | None = None) -> dict[str, t.Any]:
    return run(host.tree, {"devices": devices, "driver": "vfio-pci", "guards": guards or {}}, check=check)


def guards(host: Host) -> list[tuple[str, str, str]]:
    (device,) = claim_info(host.tree.host(host.commands()), devices=CARD, driver="vfio-pci", kernels=["all"])["devices"]
    return [(found["guard"], found["action"], found["what"]) for found in device["guards"]]


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


@pytest.mark.parametrize("name", ALONE)
def test_of_now_nothing_is_lost_with_it(host: Host, name: str) -> None:
    ALONE[name][0](host)
    assert device_claim(host.tree.host(host.commands()), True, devices=CARD, driver="vfio-pci")["changed"]


@pytest.mark.parametrize("name", ALONE)
def test_with_another_default_route_it_is_only_said(host: Host, name: str) -> None:
    """Nothing here says who brings that one up."""
    ALONE[name][0](other(host).route("enp4s0"))
    (said,) = [warning for warning in next_boot(host)["warnings"] if "next boot" in warning]
    assert said.startswith(f"{CARD} (8086:10d3) gets another driver, but ")
    assert ALONE[name][1] in said
    assert [action for guard, action, _what in guards(host) if guard == "route"] == ["warn"]


@pytest.mark.parametrize("name", ALONE)
def test_another_interface_that_is_to_have_one_counts(host: Host, name: str) -> None:
    ALONE[name][0](host)
    other(host)
    networkd(host, second="[Match]\nName=enp4s0\n[Network]\nDHCP=yes\n")
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


NOT_NAMED: dict[str, t.Callable[[Host], object]] = {
    "nothing starts ifupdown": lambda host: host.file(INTERFACES, f"auto enp3s0\niface enp3s0 inet static\n  {STATIC}"),
    "networkd is masked": lambda host: networkd(host, lan="[Match]\nName=enp3s0\n[Network]\nDHCP=yes\n").linked(
        "/etc/systemd/system/systemd-networkd.service", "/dev/null"
    ),
    "it does not come up by itself": lambda host: ifupdown(host, f"iface enp3s0 inet static\n  {STATIC}"),
    "it has no address": lambda host: ifupdown(host, "auto enp3s0\niface enp3s0 inet manual\n"),
    "a profile that does not connect by itself": lambda host: manager(
        other(host), "[connection]\ntype=ethernet\ninterface-name=enp3s0\nautoconnect=false\n[ipv4]\nmethod=auto\n"
    ),
    "another interface": lambda host: ifupdown(other(host), f"auto enp4s0\niface enp4s0 inet static\n  {STATIC}"),
    "another hardware address": lambda host: networkd(host, lan="[Match]\nMACAddress=52:54:00:00:00:01\n[Network]\nDHCP=yes\n"),
    "a file that an editor has left": lambda host: started(other(host), "NetworkManager.service").file(
        f"{IFCFG}/ifcfg-enp3s0.bak", "ONBOOT=yes\nBOOTPROTO=dhcp\n"
    ),
    "the second port of the card": lambda host: ifupdown(host, "auto enp3s0f1\niface enp3s0f1 inet dhcp\n"),
    "a file of networkd that a link masks": lambda host: (
        networkd(host)
        .linked(f"{NETWORKD}/lan.network", "/dev/null")
        .file("/usr/lib/systemd/network/lan.network", "[Match]\nName=enp3s0\n[Network]\nDHCP=yes\n")
    ),
    "whatever there is, with another card left": lambda host: networkd(other(host), lan="[Match]\nName=en*\n[Network]\nDHCP=yes\n"),
    "NetworkManager without profiles, with another card left": lambda host: manager(other(host)),
}


@pytest.mark.parametrize("name", NOT_NAMED)
def test_what_does_not_name_the_card_says_nothing(host: Host, name: str) -> None:
    NOT_NAMED[name](host)
    result = next_boot(host)
    assert not [warning for warning in result["warnings"] if "next boot" in warning]
    assert not [found for found in guards(host) if found[0] == "route"]


WARNED: dict[str, t.Callable[[Host], object]] = {
    "whatever there is, and this is all": lambda host: networkd(host, lan="[Match]\nName=en*\n[Network]\nDHCP=yes\n"),
    "one that the boot does not need": lambda host: networkd(
        host, lan="[Match]\nName=enp3s0\n[Link]\nRequiredForOnline=no\n[Network]\nDHCP=yes\n"
    ),
    "an address without a route": lambda host: ifupdown(host, "auto enp3s0\niface enp3s0 inet static\n address 10.0.0.5/24\n"),
    "a setting with a condition that is not read": lambda host: networkd(
        host, lan="[Match]\nName=enp3s0\nKernelVersion=>6\n[Network]\nDHCP=yes\n"
    ),
    "beside an interface that is made": lambda host: ifupdown(
        host, f"auto enp3s0\niface enp3s0 inet static\n  {STATIC}auto ppp0\niface ppp0 inet dhcp\n"
    ),
    "optional for netplan": lambda host: netplan(host, "network:\n  ethernets:\n    enp3s0:\n      dhcp4: yes\n      optional: true\n"),
    "DHCP without its routes": lambda host: networkd(host, lan="[Match]\nName=enp3s0\n[Network]\nDHCP=yes\n[DHCPv4]\nUseRoutes=no\n"),
    "a route to a single network": lambda host: networkd(
        host, lan="[Match]\nName=enp3s0\n[Network]\nAddress=10.0.0.5/24\n[Route]\nDestination=10.9.0.0/16\nGateway=10.0.0.1\n"
    ),
    "a route to a single network, of a profile": lambda host: manager(
        host,
        "[connection]\ntype=ethernet\ninterface-name=enp3s0\n[ipv4]\nmethod=manual\naddress1=10.0.0.5/24\nroute1=10.9.0.0/16,10.0.0.1\n"
        "[ipv6]\nmethod=auto\n",
    ),
    "DHCP without its routes, for netplan": lambda host: netplan(
        host, "network:\n  ethernets:\n    enp3s0:\n      dhcp4: true\n      dhcp4-overrides:\n        use-routes: false\n"
    ),
    "with DHCP of dhcpcd and another card": lambda host: started(
        ifupdown(other(host), f"auto enp3s0\niface enp3s0 inet static\n  {STATIC}"), "dhcpcd.service"
    ),
}


@pytest.mark.parametrize("name", WARNED)
def test_what_is_not_certain_is_only_said(host: Host, name: str) -> None:
    WARNED[name](host)
    assert [warning for warning in next_boot(host)["warnings"] if "next boot" in warning]
    assert [action for guard, action, _what in guards(host) if guard == "route"] == ["warn"]


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
    ],
)
def test_a_file_that_says_nothing_is_none(host: Host, text: str) -> None:
    ifupdown(host, text)
    networkd(host, odd=text)
    manager(host, text)
    netplan(host, text)
    host.file(f"{IFCFG}/ifcfg-odd", text)
    assert next_boot(host)["changed"]

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose next boot does not depend on the card, as far as that can be said of its networks."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.tests.unit.next_network_hosts import (
    IFCFG,
    INTERFACES,
    MAC,
    NETWORKD,
    PROFILE,
    STATIC,
    SYSTEM,
    UNITS,
    WANTS,
    ifupdown,
    manager,
    manager_conf,
    netplan,
    networkd,
    openrc,
    other,
    started,
)

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.tests.unit.lockout_hosts import Host

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
    "networkd's first file leaves the card alone": lambda host: networkd(
        host, a="[Match]\nName=enp3s0\n[Link]\nUnmanaged=T\n", b="[Match]\nName=enp3s0\n[Network]\nDHCP=yes\n"
    ),
    "networkd's first file is for all cards, and only the second has a route": lambda host: networkd(
        host, a="[Match]\nName=en*\n[Network]\nLinkLocalAddressing=no\n", b=f"[Match]\nMACAddress={MAC}\n[Network]\nDHCP=yes\n"
    ),
    "networkd's file is for every other card": lambda host: networkd(host, a="[Match]\nName=!enp3s0\n[Network]\nDHCP=yes\n"),
    "networkd with a server in another word for no": lambda host: networkd(host, a="[Match]\nName=enp3s0\n[Network]\nDHCP=F\n"),
    "networkd with what the running system was told": lambda host: networkd(host).file(
        "/run/systemd/network/a.network", "[Match]\nName=enp3s0\n[Network]\nDHCP=yes\n"
    ),
    "a profile that does not connect by itself, in another word for no": lambda host: manager_conf(
        manager(host, f"{PROFILE.format('enp3s0')}[connection]\nautoconnect=off\n"), "[main]\nno-auto-default=*\n"
    ),
    "a profile of a card that NetworkManager leaves alone": lambda host: manager_conf(
        manager(host, PROFILE.format("enp3s0")), "[keyfile]\nunmanaged-devices=interface-name:=enp3s0\n"
    ),
    "ifupdown is wanted by a target that does not start": lambda host: (
        host.linked(f"{SYSTEM}/site.target.wants/networking.service", f"{UNITS}/networking.service")
        .file(f"{UNITS}/networking.service", "[Unit]\n")
        .file(INTERFACES, f"auto enp3s0\niface enp3s0 inet static\n  {STATIC}")
    ),
    "ifupdown's unit has a condition that does not hold": lambda host: ifupdown(
        host, f"auto enp3s0\niface enp3s0 inet static\n  {STATIC}"
    ).file(f"{UNITS}/networking.service", "[Unit]\nConditionPathExists=/etc/none\n"),
    "a link of ifupdown's unit, which is not installed": lambda host: host.linked(
        f"{WANTS}/networking.service", f"{UNITS}/networking.service"
    ).file(INTERFACES, f"auto enp3s0\niface enp3s0 inet static\n  {STATIC}"),
    "the next boot masks networkd by a word": lambda host: networkd(
        host.file("/proc/cmdline", "root=/dev/mapper/root systemd.mask=systemd-networkd.service\n"),
        lan="[Match]\nName=enp3s0\n[Network]\nDHCP=yes\n",
    ),
    "netplan's generator is masked": lambda host: netplan(host, "network:\n  ethernets:\n    enp3s0:\n      dhcp4: true\n").linked(
        "/etc/systemd/system-generators/netplan", "/dev/null"
    ),
    "a program that joins radio networks and asks for no address": lambda host: started(host, "iwd.service", "wpa_supplicant.service"),
    "cloud-init, which has written what it writes": lambda host: started(host, "cloud-init-local.service").linked(
        "/var/lib/cloud/instance", "/var/lib/cloud/instances/i-1"
    ),
    "cloud-init, which is to leave networks alone": lambda host: started(host, "cloud-init-local.service").file(
        "/etc/cloud/cloud.cfg.d/99-net.cfg", "network:\n  config: disabled\n"
    ),
    "a client of DHCP for another interface": lambda host: host.file(f"{UNITS}/dhcpcd@.service", "[Unit]\n").linked(
        f"{WANTS}/dhcpcd@enp4s0.service", f"{UNITS}/dhcpcd@.service"
    ),
    "whatever there is, with another card left": lambda host: networkd(other(host), lan="[Match]\nName=en*\n[Network]\nDHCP=yes\n"),
    "NetworkManager without profiles, with another card left": lambda host: manager(other(host)),
}


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


UNREAD: dict[str, t.Callable[[Host], object]] = {
    "connman.service": lambda host: started(host, "connman.service"),
    "dhcpcd.service": lambda host: started(host, "dhcpcd.service"),
    "netctl@lan.service": lambda host: host.file(f"{UNITS}/netctl@.service", "[Unit]\n").linked(
        f"{WANTS}/netctl@lan.service", f"{UNITS}/netctl@.service"
    ),
    "cloud-init-local.service": lambda host: started(host, "cloud-init-local.service"),
    "net.enp3s0": lambda host: (
        openrc(host).program("/etc/init.d/net.lo", "true").linked("/etc/runlevels/default/net.enp3s0", "/etc/init.d/net.lo")
    ),
}

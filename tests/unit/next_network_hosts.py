# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with interfaces that are down now, and what configures them for the next boot."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.tests.unit.lockout_hosts import CARD, OTHER

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.tests.unit.lockout_hosts import Host

WANTS = "/etc/systemd/system/multi-user.target.wants"
INTERFACES = "/etc/network/interfaces"
NETWORKD = "/etc/systemd/network"
CONNECTIONS = "/etc/NetworkManager/system-connections"
IFCFG = "/etc/sysconfig/network-scripts"
MAC, MAC_OF_OTHER = "52:54:00:aa:bb:cc", "52:54:00:aa:bb:dd"
UNITS, SYSTEM = "/usr/lib/systemd/system", "/etc/systemd/system"


def started(host: Host, *units: str) -> Host:
    for unit in units:
        host.linked(f"{WANTS}/{unit}", f"/usr/lib/systemd/system/{unit}").file(f"/usr/lib/systemd/system/{unit}", "[Unit]\n")
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
    return host.file("/usr/lib/systemd/system-generators/netplan", b"\x7fELF").file("/etc/netplan/50-cloud-init.yaml", text)


def other(host: Host) -> Host:
    """Another card with an interface."""
    host.function("nic", OTHER, id="8086:1533")
    return host.interface("enp4s0", f"/sys/devices/pci0000:04/{OTHER}")


def openrc(host: Host) -> Host:
    return host.file("/sbin/openrc-init", b"\x7fELF").linked("/sbin/init", "/sbin/openrc-init")


def other_with(host: Host, mine: str = "DHCP=yes", **files: str) -> Host:
    """networkd's files for a card that stays, before and behind the one of the card that is claimed."""
    host = other(host).file(f"/sys/devices/pci0000:04/{OTHER}/net/enp4s0/address", f"{MAC_OF_OTHER}\n")
    return networkd(host, lan=f"[Match]\nName=enp3s0\n[Network]\n{mine}\n", **{f"l_{name}": text for name, text in files.items()})


def manager_conf(host: Host, text: str, path: str = "/etc/NetworkManager/conf.d/site.conf") -> Host:
    return host.file(path, text)


THEIRS = "[Match]\nName=enp4s0\n[Network]\n"
PROFILE = "[connection]\ntype=ethernet\ninterface-name={}\n[ipv4]\nmethod=auto\n"
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
    # Of networkd's files an interface gets the first that agrees, in the order of their names over all folders.
    "the other card's file has no route, and the next one is not read for it": (
        lambda host: other_with(host, a=f"{THEIRS}Address=10.1.0.5/24\n", b=f"{THEIRS}DHCP=yes\n"),
        f"{NETWORKD}/lan.network",
    ),
    "the other card is left alone by its hardware address": (
        lambda host: other_with(host, a=f"[Match]\nMACAddress={MAC_OF_OTHER}\n[Link]\nUnmanaged=1\n", b=f"{THEIRS}DHCP=yes\n"),
        f"{NETWORKD}/lan.network",
    ),
    "a file of the administrator's in the place of the distribution's for the other card": (
        lambda host: other_with(host, a=f"{THEIRS}Address=10.1.0.5/24\n").file(
            "/usr/lib/systemd/network/l_a.network", f"{THEIRS}DHCP=yes\n"
        ),
        f"{NETWORKD}/lan.network",
    ),
    "an empty file in the place of the distribution's for the other card": (
        lambda host: other_with(host, a="").file("/usr/lib/systemd/network/l_a.network", f"{THEIRS}DHCP=yes\n"),
        f"{NETWORKD}/lan.network",
    ),
    "what the running system was told of the other card is gone": (
        lambda host: other_with(host).file("/run/systemd/network/l_a.network", f"{THEIRS}DHCP=yes\n"),
        f"{NETWORKD}/lan.network",
    ),
    "a drop-in takes the other card's server back": (
        lambda host: other_with(host, a=f"{THEIRS}DHCP=yes\n").file(f"{NETWORKD}/l_a.network.d/no.conf", "[Network]\nDHCP=off\n"),
        f"{NETWORKD}/lan.network",
    ),
    "a drop-in takes the other card's gateway back": (
        lambda host: other_with(host, a=f"{THEIRS}Address=10.1.0.5/24\nGateway=10.1.0.1\n").file(
            "/usr/lib/systemd/network/l_a.network.d/no.conf", "[Network]\nGateway=\n"
        ),
        f"{NETWORKD}/lan.network",
    ),
    "the other card's server gives no routes": (
        lambda host: other_with(host, a=f"{THEIRS}DHCP=yes\n[DHCPv4]\nUseRoutes=N\n"),
        f"{NETWORKD}/lan.network",
    ),
    "the other card's route leads nowhere": (
        lambda host: other_with(host, a=f"{THEIRS}Address=10.1.0.5/24\n[Route]\nDestination=0.0.0.0/0\nType=unreachable\n"),
        f"{NETWORKD}/lan.network",
    ),
    "a route for the other card alone behind one to a network": (
        lambda host: other_with(
            host, a=f"{THEIRS}Address=10.1.0.5/24\n[Route]\nDestination=10.9.0.0/16\nGateway=10.1.0.1\n[Route]\nDestination=10.8.0.0/16\n"
        ),
        f"{NETWORKD}/lan.network",
    ),
    "every other card but this": (
        lambda host: networkd(host, a="[Match]\nName=!enp3s0\n[Network]\nDHCP=yes\n", b="[Match]\nName=enp3s0\n[Network]\nDHCP=yes\n"),
        f"{NETWORKD}/b.network",
    ),
    "networkd in another word for yes": (lambda host: other_with(host, "DHCP=T"), f"{NETWORKD}/lan.network"),
    "networkd with advertisements, in a word for yes": (lambda host: other_with(host, "IPv6AcceptRA=1"), f"{NETWORKD}/lan.network"),
    "networkd with a route without a gateway": (
        lambda host: other_with(host, "Address=10.0.0.5/24\n[Route]\nDestination=0.0.0.0/0\nScope=link"),
        f"{NETWORKD}/lan.network",
    ),
    "networkd with a route on the device": (
        lambda host: other_with(host, "Address=10.0.0.5/24\nDefaultRouteOnDevice=yes"),
        f"{NETWORKD}/lan.network",
    ),
    "networkd with two routes of their own sections": (
        lambda host: other_with(host, "Address=10.0.0.5/24\n[Route]\nDestination=10.9.0.0/16\nGateway=10.0.0.2\n[Route]\nGateway=10.0.0.1"),
        f"{NETWORKD}/lan.network",
    ),
    "networkd by the hardware address with hyphens": (
        lambda host: networkd(host, lan=f"[Match]\nMACAddress={MAC.replace(':', '-')}\n[Network]\nDHCP=yes\n"),
        f"{NETWORKD}/lan.network",
    ),
    "networkd by the hardware address with dots": (
        lambda host: networkd(host, lan="[Match]\nMACAddress=5254.00aa.bbcc\n[Network]\nDHCP=yes\n"),
        f"{NETWORKD}/lan.network",
    ),
    "a tunnel over the card": (
        lambda host: networkd(
            host, a="[Match]\nName=enp3s0\n[Network]\nTunnel=gre1\n", b="[Match]\nName=gre1\n[Network]\nGateway=10.0.0.1\n"
        ),
        f"{NETWORKD}/b.network",
    ),
    "netplan in one line": (
        lambda host: netplan(
            host, "network: {version: 2, ethernets: {enp3s0: {dhcp4: yes, nameservers: {addresses: [10.0.0.1, 'fe80::1']}}}}\n"
        ),
        "/etc/netplan/50-cloud-init.yaml:1",
    ),
    "netplan with parts in one line": (
        lambda host: netplan(
            host, "network:\n  ethernets:\n    enp3s0: {addresses: [10.0.0.5/24], routes: [{to: default, via: 10.0.0.1}]}\n"
        ),
        "/etc/netplan/50-cloud-init.yaml:3",
    ),
    "netplan in another word for yes": (
        lambda host: netplan(host, "network:\n  ethernets:\n    enp3s0:\n      dhcp4: Y\n"),
        "/etc/netplan/50-cloud-init.yaml:3",
    ),
    "netplan, whose later file takes the other card's server back": (
        lambda host: netplan(other(host), "network:\n  ethernets:\n    enp4s0:\n      dhcp4: true\n    enp3s0:\n      dhcp4: true\n").file(
            "/etc/netplan/99-site.yaml", "network:\n  ethernets:\n    enp4s0:\n      dhcp4: no\n"
        ),
        "/etc/netplan/50-cloud-init.yaml:5",
    ),
    "a file of networkd before netplan's for the other card": (
        lambda host: netplan(other(host), "network:\n  ethernets:\n    enp4s0:\n      dhcp4: true\n    enp3s0:\n      dhcp4: true\n").file(
            f"{NETWORKD}/05-site.network", f"{THEIRS}Address=10.1.0.5/24\n"
        ),
        "/etc/netplan/50-cloud-init.yaml:5",
    ),
    "netplan asks NetworkManager for the other card, which does not start": (
        lambda host: netplan(
            other(host),
            "network:\n  ethernets:\n    enp4s0:\n      renderer: NetworkManager\n      dhcp4: true\n    enp3s0:\n      dhcp4: true\n",
        ),
        "/etc/netplan/50-cloud-init.yaml:6",
    ),
    "a profile, and none for the other card, which so asks for nothing": (
        lambda host: manager_conf(
            manager(other(host), PROFILE.format("enp3s0")), "[main]\nno-auto-default=*\n", "/usr/lib/NetworkManager/conf.d/00-server.conf"
        ),
        f"{CONNECTIONS}/p0.nmconnection",
    ),
    "a profile, and one for the other card that NetworkManager leaves alone": (
        lambda host: manager_conf(
            manager(other(host), PROFILE.format("enp3s0"), PROFILE.format("enp4s0")),
            "[keyfile]\nunmanaged-devices=mac:00:22:68:1c:59:b1;interface-name:enp4*\n",
        ),
        f"{CONNECTIONS}/p0.nmconnection",
    ),
    "NetworkManager leaves all alone but this": (
        lambda host: manager_conf(
            manager(other(host), PROFILE.format("enp3s0"), PROFILE.format("enp4s0")),
            "[keyfile]\nunmanaged-devices=*,except:interface-name:enp3s0\n",
        ),
        f"{CONNECTIONS}/p0.nmconnection",
    ),
    "a profile, and one for the other card without its routes": (
        lambda host: manager_conf(
            manager(other(host), PROFILE.format("enp3s0"), f"{PROFILE.format('enp4s0')}never-default=yes\n"), "[main]\nno-auto-default=*\n"
        ),
        f"{CONNECTIONS}/p0.nmconnection",
    ),
    "ifcfg in another word for yes, and the other card's is not NetworkManager's": (
        lambda host: (
            manager_conf(started(other(host), "NetworkManager.service"), "[main]\nno-auto-default=*\n")
            .file(f"{IFCFG}/ifcfg-enp3s0", "DEVICE=enp3s0\nONBOOT=T\nBOOTPROTO=dhcp\n")
            .file(f"{IFCFG}/ifcfg-enp4s0", "DEVICE=enp4s0\nONBOOT=yes\nBOOTPROTO=dhcp\nNM_CONTROLLED=No\n")
        ),
        f"{IFCFG}/ifcfg-enp3s0",
    ),
    "ifcfg of SUSE in capitals, and the other card's without its routes": (
        lambda host: (
            started(other(host), "wicked.service")
            .file("/etc/sysconfig/network/ifcfg-enp3s0", "STARTMODE=AUTO\nBOOTPROTO=dhcp\n")
            .file("/etc/sysconfig/network/ifcfg-enp4s0", "STARTMODE=auto\nBOOTPROTO=dhcp\nDHCLIENT_SET_DEFAULT_ROUTE=NO\n")
        ),
        "/etc/sysconfig/network/ifcfg-enp3s0",
    ),
    # Which programs start is told by units, not by links alone.
    "networkd, which its socket starts": (
        lambda host: (
            host.file(f"{NETWORKD}/lan.network", "[Match]\nName=enp3s0\n[Network]\nDHCP=yes\n")
            .file(f"{UNITS}/systemd-networkd.service", "[Unit]\n")
            .file(f"{UNITS}/systemd-networkd.socket", "[Socket]\nListenNetlink=route 1361\n")
            .linked(f"{SYSTEM}/sockets.target.wants/systemd-networkd.socket", f"{UNITS}/systemd-networkd.socket")
        ),
        f"{NETWORKD}/lan.network",
    ),
    "networkd, which another unit requires": (
        lambda host: (
            started(host, "site.service")
            .file(f"{UNITS}/site.service", "[Unit]\nRequires=systemd-networkd.service\n")
            .file(f"{UNITS}/systemd-networkd.service", "[Unit]\n")
            .file(f"{NETWORKD}/lan.network", "[Match]\nName=enp3s0\n[Network]\nDHCP=yes\n")
        ),
        f"{NETWORKD}/lan.network",
    ),
    "ifupdown, which a drop-in of a target wants": (
        lambda host: (
            host.file(f"{SYSTEM}/multi-user.target.d/net.conf", "[Unit]\nWants=networking.service\n")
            .file(f"{UNITS}/networking.service", "[Unit]\n")
            .file(INTERFACES, f"auto enp3s0\niface enp3s0 inet static\n  {STATIC}")
        ),
        f"{INTERFACES}:2",
    ),
    "ifupdown by a script of sysvinit, of which systemd makes a unit": (
        lambda host: (
            host.program("/etc/init.d/networking", "ifup -a")
            .linked("/etc/rcS.d/S12networking", "../init.d/networking")
            .file(INTERFACES, f"auto enp3s0\niface enp3s0 inet static\n  {STATIC}")
        ),
        f"{INTERFACES}:2",
    ),
    "a client of DHCP for this interface": (
        lambda host: host.file(f"{UNITS}/dhcpcd@.service", "[Unit]\n").linked(f"{WANTS}/dhcpcd@enp3s0.service", f"{UNITS}/dhcpcd@.service"),
        "dhcpcd@enp3s0.service",
    ),
}

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices that a host needs by a way round: tunnels, pairs of interfaces, objects of routes, nodes for all memory, older buses."""

from __future__ import annotations

import json

from ansible_collections.vfio.variants.tests.unit.lockout_by_names import to_server, words
from ansible_collections.vfio.variants.tests.unit.lockout_hosts import CARD, Case, Host


def ip(host: Host, **answers: object) -> Host:
    """A command `ip`: an answer by a word of what it is asked."""
    cases = " ".join(f"*{word}*) echo '{json.dumps(answer)}' ;;" for word, answer in answers.items())
    return host.program("/usr/sbin/ip", f"""case "$*" in {cases} *) echo '[]' ;; esac""")


def virtual(host: Host, name: str, kind: str = "", index: int = 9, link: int = 9, number: int = 1) -> Host:
    here = f"/sys/devices/virtual/net/{name}"
    host.file(f"{here}/type", f"{number}\n")
    host.interface(name).file(f"{here}/ifindex", f"{index}\n").file(f"{here}/iflink", f"{link}\n")
    return host.file(f"{here}/uevent", f"DEVTYPE={kind}\n" if kind else f"INTERFACE={name}\n")


def nic(host: Host, index: int = 3) -> Host:
    host.nic()
    return host.file(f"{host.card}/net/enp3s0/ifindex", f"{index}\n").file(f"{host.card}/net/enp3s0/iflink", f"{index}\n")


def other_nic(host: Host) -> Host:
    """Another card, with the default route."""
    host.function("nic", "0000:05:00.0", id="8086:1533")
    folder = "/sys/devices/pci0000:05/0000:05:00.0"
    return host.interface("eth9", folder).route("eth9")


def over_tunnel(host: Host, kind: str, name: str, number: int = 1) -> Host:
    """The session comes by a tunnel through a network of this card; the default route is elsewhere."""
    other_nic(virtual(nic(host), name, kind, 9, 3, number)).route("enp3s0", "0032A8C0", "00000000", "00FFFFFF")
    host.route(name, "0000090A", "00000000", "00FFFFFF")
    return host.ssh("10.9.0.9", "10.9.0.5")


def by_remote(host: Host, kind: str) -> Host:
    """A tunnel that is bound to no interface: its remote end says where it goes."""
    other_nic(virtual(nic(host), "t0", kind if kind != "ipip" else "", 9, 9 if kind == "vxlan" else 0, 768 if kind == "ipip" else 1))
    return ip(
        host,
        route=[
            {"dst": "default", "gateway": "10.0.0.1", "dev": "eth9"},
            {"dst": "192.168.50.0/24", "dev": "enp3s0"},
            {"dst": "10.9.0.0/24", "dev": "t0"},
        ],
        address=[
            {"ifname": "eth9", "addr_info": [{"local": "10.0.0.7"}]},
            {"ifname": "enp3s0", "addr_info": [{"local": "192.168.50.1"}]},
            {"ifname": "t0", "addr_info": [{"local": "10.9.0.5"}]},
        ],
        link=[{"ifname": "t0", "linkinfo": {"info_kind": kind, "info_data": {} if kind == "wireguard" else {"remote": "192.168.50.2"}}}],
    ).ssh("10.9.0.9", "10.9.0.5")


def by_wireguard(host: Host) -> Host:
    by_remote(host, "wireguard")
    return host.program("/usr/bin/wg", """case "$*" in "show all endpoints") printf 't0\\tKEY=\\t192.168.50.2:51820\\n' ;; esac""")


def nexthops(host: Host, route: dict[str, object]) -> Host:
    return ip(
        nic(host),
        route=[route],
        nexthop=[
            {"id": 10, "gateway": "10.0.0.1", "dev": "enp3s0", "scope": "link"},
            {"id": 11, "gateway": "10.1.0.1", "dev": "eth9", "scope": "link"},
            {"id": 20, "group": [{"id": 11}, {"id": 10}]},
        ],
    )


def veth(host: Host) -> None:
    for name, index, link in (("veth0", 20, 21), ("veth1", 21, 20)):
        virtual(host, name, "", index, link)


def bridges(host: Host) -> Host:
    """Two bridges with a pair of veth between them; the address and the route are on the one without the card."""
    nic(host).interface("br0").interface("br1")
    veth(host)
    return host.over("enp3s0", "br1").over("veth1", "br1").over("veth0", "br0").route("br0")


def bridge_and_switch(host: Host) -> Host:
    nic(host).interface("br0").interface("ovs-system")
    veth(host)
    return host.over("enp3s0", "ovs-system").over("veth1", "ovs-system").over("veth0", "br0").route("br0")


def routed_by_container(host: Host) -> Host:
    """The card is in the network namespace of a container, which is the host's router."""
    host.function("nic").folder("net")
    return virtual(host, "veth0", "", 20, 2).route("veth0")


def bridged_to_container(host: Host) -> Host:
    host.function("nic").folder("net")
    return virtual(host, "veth0", "", 20, 2).interface("br0").over("veth0", "br0").route("br0")


def uevent(host: Host, place: str, name: str, number: str) -> Host:
    major, minor = number.split(":")
    return host.file(f"{host.card}/{place}/uevent", f"MAJOR={major}\nMINOR={minor}\nDEVNAME={name}\n").file(
        f"{host.card}/{place}/dev", f"{number}\n"
    )


MAC = "52:54:00:12:34:56"


def with_address(host: Host) -> Host:
    host.nic()
    return host.file(f"{host.card}/net/enp3s0/address", f"{MAC}\n")


def of_onload(host: Host) -> Host:
    host.tree.pci(CARD, "1924:0b03", class_code=0x020000, driver="sfc", group=3)
    return host.opened("/dev/onload", "redis-server")


def elsewhere(host: Host, path: str, place: str, inside: str = "/") -> Host:
    """A process has a node of the host's /dev under another path."""
    host.opened(path, "vpp").file("/proc/4711/fdinfo/7", "pos:\t0\nflags:\t02\nmnt_id:\t812\nino:\t3\n")
    return host.file("/proc/4711/mountinfo", f"811 1 0:9 / / rw - overlay o rw\n812 811 0:6 {inside} {place} rw - devtmpfs udev rw\n")


def of_nvidia(host: Host) -> Host:
    return host.function("gpu", driver="nvidia").file(f"/proc/driver/nvidia/gpus/{CARD}/information", "Device Minor: \t 2\n")


def mapped(host: Host) -> Host:
    """A program has the card's memory by the node of all memory."""
    host.function("gpu").file(f"{host.card}/resource", "0x00000000e1000000 0x00000000e1ffffff 0x0000000000040200\n")
    host.file("/proc/4711/comm", "scada\n").linked("/proc/4711/fd/3", "/dev/mem")
    return host.file("/proc/4711/maps", "7f0000000000-7f0000001000 rw-s e1000000 00:06 11                         /dev/mem\n")


def isa(host: Host) -> Host:
    """A bridge to the machine's older buses, whose devices are elsewhere in sysfs."""
    host.tree.pci(CARD, "8086:a2c6", class_code=0x060100, driver=None, group=3)
    return host


INDIRECT: dict[str, Case] = {
    # -- networks
    "default route by an object": Case(
        lambda host: nexthops(host, {"dst": "default", "nhid": 10, "flags": []}), "route", "enp3s0 carries the default route"
    ),
    "default route by a group of objects": Case(
        lambda host: nexthops(host, {"dst": "default", "nhid": 20, "flags": []}), "route", "enp3s0 carries the default route"
    ),
    "default route in quarters": Case(
        lambda host: (
            host.nic()
            .route("enp3s0", "00000000", mask="000000C0")
            .route("enp3s0", "00000040", mask="000000C0")
            .route("enp3s0", "00000080", mask="000000C0")
            .route("enp3s0", "000000C0", mask="000000C0")
        ),
        "route",
        "enp3s0 carries the default route",
    ),
    "this connection by VXLAN over a network of this card": Case(
        lambda host: over_tunnel(host, "vxlan", "vxlan100"), "connection", "vxlan100 carries this SSH connection"
    ),
    "this connection by GRE over a network of this card": Case(
        lambda host: over_tunnel(host, "", "gre1", 778), "connection", "gre1 carries this SSH connection"
    ),
    "this connection by an interface of IPsec over this card": Case(
        lambda host: over_tunnel(host, "", "ipsec0", 65534), "connection", "ipsec0 carries this SSH connection"
    ),
    "this connection by VXLAN to a host in a network of this card": Case(
        lambda host: by_remote(host, "vxlan"), "connection", "t0 carries this SSH connection"
    ),
    "this connection by IPIP to a host in a network of this card": Case(
        lambda host: by_remote(host, "ipip"), "connection", "t0 carries this SSH connection"
    ),
    "this connection by WireGuard to a host in a network of this card": Case(by_wireguard, "connection", "t0 carries this SSH connection"),
    "default route over two bridges": Case(bridges, "route", "br0 carries the default route"),
    "default route over a bridge at Open vSwitch": Case(bridge_and_switch, "route", "br0 carries the default route"),
    "default route over a container that is the router": Case(routed_by_container, "route", "veth0 carries the default route"),
    "default route over a bridge with a container that is the router": Case(bridged_to_container, "route", "br0 carries the default route"),
    "default route over Bluetooth": Case(
        lambda host: host.function("usb").interface("bnep0", f"{host.card}/usb1/1-3/1-3:1.0/bluetooth/hci0/hci0:12").route("bnep0"),
        "route",
        "bnep0 carries",
    ),
    "default route over MACsec": Case(
        lambda host: virtual(host.nic(), "macsec0", "macsec").over("enp3s0", "macsec0").route("macsec0"), "route", "macsec0 carries"
    ),
    "default route over HSR": Case(
        lambda host: virtual(host.nic(), "hsr0", "hsr").over("enp3s0", "hsr0").route("hsr0"), "route", "hsr0 carries"
    ),
    "the interface of a bond that the initramfs makes": Case(
        lambda host: words(host.nic(), "bond=bond0:enp3s0,enp4s0:mode=802.3ad ip=bond0:dhcp"), "root", "enp3s0 is named by bond="
    ),
    "the interface of a VLAN that the initramfs makes": Case(
        lambda host: words(host.nic(), "vlan=enp3s0.7:enp3s0"), "root", "enp3s0 is named by vlan="
    ),
    "the address of a loopback that BGP announces": Case(
        lambda host: ip(
            nic(host),
            route=[{"dst": "default", "nexthops": [{"via": {"family": "inet6", "host": "fe80::1"}, "dev": "enp3s0"}]}],
            address=[{"ifname": "lo", "addr_info": [{"local": "10.255.0.1"}]}],
        ).ssh("10.8.0.1", "10.255.0.1"),
        "connection",
        "enp3s0 carries this SSH connection (10.255.0.1)",
    ),
    # -- what an initramfs is told
    "the server of a network block device, as Debian's initramfs names it": Case(
        lambda host: words(to_server(host), "nbdroot=10.0.0.2:export"), "root", "the root file system is on 10.0.0.2"
    ),
    "the server of iSCSI, as Debian's initramfs names it": Case(
        lambda host: words(to_server(host), "iscsi_target_name=iqn.x iscsi_target_ip=10.0.0.2"),
        "root",
        "the root file system is on 10.0.0.2",
    ),
    "the server of iSCSI in a file of Debian's initramfs": Case(
        lambda host: to_server(host).file("/etc/iscsi/iscsi.initramfs", "ISCSI_TARGET_NAME=iqn.x\nISCSI_TARGET_IP=10.0.0.2\n"),
        "root",
        "the root file system is on 10.0.0.2",
    ),
    "the interface of the firmware's iSCSI": Case(
        lambda host: with_address(words(host, "rd.iscsi.firmware=1")).file("/sys/firmware/ibft/ethernet0/mac", f"{MAC}\n"),
        "root",
        f"{MAC} is named by the firmware for iSCSI (iBFT, ethernet0)",
    ),
    "the interface of the firmware's iSCSI, as Debian asks for it": Case(
        lambda host: with_address(words(host, "iscsi_auto")).file("/sys/firmware/ibft/ethernet1/mac", f"{MAC.upper()}\n"),
        "root",
        f"{MAC} is named by the firmware for iSCSI (iBFT, ethernet1)",
    ),
    "the interface of Fibre Channel over Ethernet for the root": Case(
        lambda host: words(host.nic(), "fcoe=enp3s0:nodcb"), "root", "enp3s0 is named by fcoe="
    ),
    "the interface of a route for the root": Case(
        lambda host: words(host.nic(), "rd.route=10.0.0.0/8:192.168.1.1:enp3s0"), "root", "enp3s0 is named by rd.route="
    ),
    "the interface of initramfs-tools": Case(
        lambda host: host.nic().file("/etc/initramfs-tools/initramfs.conf", "MODULES=most\nDEVICE=enp3s0\nNFSROOT=auto\n"),
        "root",
        "enp3s0 is named by DEVICE= in /etc/initramfs-tools/initramfs.conf",
    ),
    "the interface of initramfs-tools with its address": Case(
        lambda host: host.nic().file("/etc/initramfs-tools/conf.d/ip", "IP=10.0.0.5::10.0.0.1:255.255.255.0:host:enp3s0:off\n"),
        "root",
        "enp3s0 is named by IP= in /etc/initramfs-tools/conf.d/ip",
    ),
    "the interface of arguments that dracut puts into the image": Case(
        lambda host: host.nic().file("/etc/dracut.conf.d/net.conf", 'kernel_cmdline="rd.neednet=1 ip=enp3s0:dhcp"\n'),
        "root",
        "enp3s0 is named by ip= in /etc/dracut.conf.d/net.conf",
    ),
    "the overlay of a live system": Case(
        lambda host: words(host.nvme_disk("p3").linked("/dev/disk/by-label/P", "../../nvme0n1p3"), "rd.live.overlay=LABEL=P:/x"),
        "root",
        "LABEL=P is named by rd.live.overlay=",
    ),
    # -- consoles
    "the kernel's messages by an option of the module": Case(
        lambda host: (
            host.nic()
            .file("/etc/modprobe.d/netconsole.conf", "options netconsole netconsole=@10.0.0.1/enp3s0,@10.0.0.9/\n")
            .tree.module("netconsole")
        ),
        "console",
        "the kernel's messages are sent over enp3s0 (netconsole=)",
    ),
    "the kernel's messages over a card by its address": Case(
        lambda host: words(
            host.nic().file(f"{host.card}/net/enp3s0/address", "52:54:00:12:34:56\n"), "netconsole=@10.0.0.1/52:54:00:12:34:56,@10.0.0.9/"
        ),
        "console",
        "(netconsole=)",
    ),
    "the early console in the card's memory": Case(
        lambda host: words(
            host.function("serial").file(f"{host.card}/resource", "0x00000000e1000000 0x00000000e1003fff 0x0000000000040200\n"),
            "earlycon=uart8250,mmio32,0xe1000000,115200n8",
        ),
        "console",
        "is on it",
    ),
    "a serial console that somebody is logged in by": Case(
        lambda host: uevent(host.function("serial"), "tty/ttyS5", "ttyS5", "4:69").opened("/dev/ttyS5", "agetty"),
        "in_use",
        "process 4711 (agetty) has /dev/ttyS5 open",
    ),
    # -- use
    "an interface whose packets a program has in user space by Onload": Case(
        of_onload,
        "in_use",
        "process 4711 (redis-server) has /dev/onload open",
    ),
    "memory of the card that a process has by the node of all memory": Case(
        mapped,
        "in_use",
        "process 4711 (scada) has /dev/mem mapped",
    ),
    "the host adapter's node that a monitor has open": Case(
        lambda host: uevent(host.function("sas"), "host0/bsg/host0", "bsg/host0", "247:0").opened("/dev/bsg/host0", "storcli"),
        "in_use",
        "/dev/bsg/host0 open",
    ),
    "a card that a container has by the host's nodes in another folder": Case(
        lambda host: elsewhere(host.function("gpu"), "/host/dev/vfio/3", "/host/dev"),
        "in_use",
        "process 4711 (vpp) has /host/dev/vfio/3 open",
    ),
    "a card that a container has by a part of the host's nodes": Case(
        lambda host: elsewhere(host.function("gpu"), "/host-dev/3", "/host-dev", "/vfio"),
        "in_use",
        "process 4711 (vpp) has /host-dev/3 open",
    ),
    "a GPU of NVIDIA that a program in a root of its own has": Case(
        lambda host: elsewhere(of_nvidia(host), "/run/nvidia/driver/dev/nvidia2", "/dev"),
        "in_use",
        "has /run/nvidia/driver/dev/nvidia2 open",
    ),
    "a card whose node was removed after a guest had opened it": Case(
        lambda host: host.function("gpu").opened("/dev/vfio/3 (deleted)"),
        "in_use",
        "(a guest, qemu-system-x86) has /dev/vfio/3 (deleted) open",
    ),
    "a camera": Case(
        lambda host: uevent(host.function("usb"), "usb1/1-1/1-1:1.0/video4linux/video0", "video0", "81:0").opened(
            "/dev/video0", "zoneminder"
        ),
        "in_use",
        "/dev/video0 open",
    ),
    "a bus of chips that a program has open": Case(
        lambda host: uevent(
            host.function("usb", id="8086:a2a3", class_code=0x0C0500, driver="i801_smbus"), "i2c-4/i2c-dev/i2c-4", "i2c-4", "89:4"
        ).opened("/dev/i2c-4", "openrgb"),
        "in_use",
        "/dev/i2c-4 open",
    ),
    # -- older buses
    "the bridge to the serial console": Case(
        lambda host: (
            isa(host)
            .file("/sys/devices/pnp0/00:05/00:05:0/00:05:0.0/tty/ttyS0/dev", "4:64\n")
            .file("/sys/class/tty/console/active", "tty0 ttyS0\n")
        ),
        "console",
        "the console is on ttyS0",
    ),
    "the bridge to the keyboard": Case(
        lambda host: isa(host).file(
            "/sys/devices/platform/i8042/serio0/input/input3/capabilities/key",
            "402000000 3803078f800d001 feffffdfffefffff fffffffffffffffe\n",
        ),
        "console",
        "a keyboard is connected to it",
    ),
    "the bridge to the chip that unlocks the root": Case(
        lambda host: (
            isa(host)
            .file("/sys/devices/pnp0/00:04/tpm/tpm0/uevent", "MAJOR=10\nMINOR=224\nDEVNAME=tpm0\n")
            .file("/etc/crypttab", "root UUID=ee none tpm2-device=auto,x-initrd.attach\n")
        ),
        "root",
        "tpm2-device=auto is needed to unlock root at boot",
    ),
}

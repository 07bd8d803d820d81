# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose network, console, guests or programs depend on a device."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.tests.unit.lockout_hosts import CARD, Case, Host


def open_vswitch(host: Host) -> Host:
    host.nic().interface("ovs-system").interface("br-ex").over("enp3s0", "ovs-system")
    return host.route("br-ex")


def virtual_function(host: Host, **more: t.Any) -> Host:
    host.function("nic", max_virtual_functions=7)
    return host.function("nic", "0000:03:10.0", id="8086:10ca", physical_function=CARD, **{"group": 41, **more})


OTHERS: dict[str, Case] = {
    # -- routes
    "default route": Case(lambda host: host.nic().route("enp3s0"), "route", "enp3s0 carries the default route"),
    "default route over a VLAN of a bond in a bridge": Case(
        lambda host: (
            host.nic()
            .interface("bond0")
            .interface("bond0.7")
            .interface("br0")
            .over("enp3s0", "bond0")
            .over("bond0", "bond0.7")
            .over("bond0.7", "br0")
            .route("br0")
        ),
        "route",
        "br0 carries the default route",
    ),
    "default route on a bridge of Open vSwitch": Case(open_vswitch, "route", "br-ex carries the default route"),
    "default route on a subfunction": Case(
        lambda host: host.function("mlx5").interface("enp3s0f0s88", f"{host.card}/mlx5_core.sf.4").route("enp3s0f0s88"),
        "route",
        "enp3s0f0s88 carries the default route",
    ),
    "default route on a USB card": Case(
        lambda host: host.function("usb").interface("enx0", f"{host.card}/usb1/1-3/1-3:1.0").route("enx0"), "route", "enx0 carries"
    ),
    "default route on a virtio card": Case(
        lambda host: host.function("virtio").interface("eth0", f"{host.card}/virtio0").route("eth0"), "route", "eth0 carries"
    ),
    "default route on a virtual function": Case(
        lambda host: virtual_function(host).interface("enp3s0v0", "/sys/devices/pci0000:03/0000:03:10.0").route("enp3s0v0"),
        "route",
        "enp3s0v0 carries the default route",
    ),
    "default route over a tunnel through this card": Case(
        lambda host: (
            host.nic()
            .interface("wg0")
            .file("/sys/devices/virtual/net/wg0/uevent", "DEVTYPE=wireguard\n")
            .route("wg0", gateway="00000000")
            .route("enp3s0", "0500000A", "0100000A", "FFFFFFFF")
        ),
        "route",
        "wg0 carries the default route",
    ),
    "default route of IPv6": Case(
        lambda host: host.nic().file(
            "/proc/net/ipv6_route", f"{'0' * 32} 00 {'0' * 32} 00 fe80{'0' * 27}1 00000400 00000001 00000000 00000003 enp3s0\n"
        ),
        "route",
        "enp3s0 carries the default route",
    ),
    # -- this connection
    "this connection by a link-local address": Case(
        lambda host: host.nic().ssh("fe80::2%enp3s0", "fe80::1%enp3s0"), "connection", "enp3s0 carries this SSH connection"
    ),
    "this connection, without the command ip": Case(
        lambda host: host.nic().route("enp3s0", "0000000A", "00000000", "00FFFFFF").ssh("10.0.0.9", "10.0.0.1"),
        "connection",
        "enp3s0 carries this SSH connection (10.0.0.1)",
    ),
    "this connection by IPv6, without the command ip": Case(
        lambda host: (
            host.nic().file("/proc/net/if_inet6", "fd000000000000000000000000000001 02 40 00 80 enp3s0\n").ssh("fd00::9", "fd00::1")
        ),
        "connection",
        "enp3s0 carries this SSH connection (fd00::1)",
    ),
    "this connection, over what cannot be determined": Case(
        lambda host: host.nic().ssh("10.0.0.9", "10.0.0.1"),
        "connection",
        "over which interface this SSH connection runs cannot be determined",
    ),
    # -- the console
    "the display that the firmware shows": Case(lambda host: host.function("gpu", boot_vga=True), "console", "boot_vga"),
    "the firmware's framebuffer": Case(
        lambda host: (
            host.function("gpu")
            .file(f"{host.card}/resource", "0x00000000d0000000 0x00000000dfffffff 0x0000000000140204\n")
            .file("/proc/iomem", "d0000000-dfffffff : PCI Bus 0000:03\n  d0000000-d07fffff : BOOTFB\n")
        ),
        "console",
        "the console's framebuffer",
    ),
    "the firmware's framebuffer on a card without a driver": Case(
        lambda host: (
            host.function("gpu", driver=None)
            .file(f"{host.card}/resource", "0x00000000d0000000 0x00000000dfffffff 0x0000000000140204\n")
            .file("/proc/iomem", "  d0000000-d07fffff : BOOTFB\n")
        ),
        "console",
        "the console's framebuffer",
    ),
    "a framebuffer with the console": Case(
        lambda host: host.function("gpu").file(f"{host.card}/graphics/fb0/dev", "29:0\n"),
        "console",
        "the console is on its framebuffer fb0",
    ),
    "the card of the serial console": Case(
        lambda host: host.function("serial").file(f"{host.card}/tty/ttyS4/dev", "4:68\n").file("/proc/cmdline", "console=ttyS4,115200\n"),
        "console",
        "the console is on ttyS4",
    ),
    "the card of an active console": Case(
        lambda host: (
            host.function("serial")
            .file(f"{host.card}/exar.0/tty/ttyS5/dev", "4:69\n")
            .file("/sys/class/tty/console/active", "tty0 ttyS5\n")
        ),
        "console",
        "the console is on ttyS5",
    ),
    "the USB controller of the keyboard": Case(
        lambda host: host.function("usb").file(
            f"{host.card}/usb1/1-2/1-2:1.0/0003:046D:C31C.0001/input/input5/capabilities/key",
            "1000000000007 ff9f207ac14057ff fffffffffffffffe\n",
        ),
        "console",
        "a keyboard is connected to it",
    ),
    "the USB controller of a keyboard without a driver": Case(
        lambda host: (
            host.function("usb")
            .file(f"{host.card}/usb1/1-2/1-2:1.0/bInterfaceClass", "03\n")
            .file(f"{host.card}/usb1/1-2/1-2:1.0/bInterfaceProtocol", "01\n")
        ),
        "console",
        "a keyboard is connected to it",
    ),
    "the card of the virtio console": Case(
        lambda host: (
            host.function("virtio", id="1af4:1043", class_code=0x078000)
            .linked(f"{host.card}/virtio1/driver", "../../bus/virtio/drivers/virtio_console")
            .file("/sys/class/tty/console/active", "hvc0\n")
        ),
        "console",
        "the console hvc may be on it",
    ),
    # -- use
    "a GPU that a running guest has": Case(
        lambda host: host.function("gpu").opened("/dev/vfio/3"), "in_use", "process 4711 (a guest, qemu-system-x86) has /dev/vfio/3 open"
    ),
    "a GPU that a guest has without an IOMMU": Case(lambda host: host.function("gpu").opened("/dev/vfio/noiommu-3"), "in_use", "noiommu-3"),
    "a device that a guest has through iommufd": Case(
        lambda host: (
            host.function("gpu")
            .file(f"{host.card}/vfio-dev/vfio0/uevent", "DEVNAME=vfio/devices/vfio0\n")
            .opened("/dev/vfio/devices/vfio0")
        ),
        "in_use",
        "/dev/vfio/devices/vfio0",
    ),
    "a GPU of the proprietary driver": Case(
        lambda host: (
            host.function("gpu", driver="nvidia")
            .file(f"/proc/driver/nvidia/gpus/{CARD}/information", "Model: \t\t V100\nDevice Minor: \t 2\n")
            .opened("/dev/nvidia2", "python3")
        ),
        "in_use",
        "process 4711 (python3) has /dev/nvidia2 open",
    ),
    "a GPU of the proprietary driver that does not say its node": Case(
        lambda host: host.function("gpu", driver="nvidia"), "in_use", "which device node nvidia has made"
    ),
    "a GPU that persistence mode keeps": Case(
        lambda host: (
            host.function("gpu", driver="nvidia")
            .file(f"/proc/driver/nvidia/gpus/{CARD}/information", "Device Minor: \t 2\n")
            .file("/proc/77/comm", "nvidia-persiste\n")
        ),
        "in_use",
        "persistence mode",
    ),
    "the parent of mediated devices": Case(
        lambda host: host.function("gpu").file(f"{host.card}/4b20d080-1b54-4048-85b3-a6a62d165c01/uevent", ""),
        "in_use",
        "it has 1 mediated device",
    ),
    "a card with virtual functions": Case(virtual_function, "in_use", "it has 1 virtual function, which would be lost"),
    "a card whose virtual function a guest has": Case(
        lambda host: virtual_function(host, driver="vfio-pci", group=40).opened("/dev/vfio/40"), "in_use", "has /dev/vfio/40 open"
    ),
    "an interface with an address": Case(
        lambda host: host.nic().file("/proc/net/if_inet6", "fd000000000000000000000000000001 02 40 00 80 enp3s0\n"),
        "in_use",
        "enp3s0 has the address fd00::1",
    ),
    "an interface in a bridge of guests": Case(
        lambda host: host.nic().interface("vmbr0").over("enp3s0", "vmbr0"), "in_use", "enp3s0 is a part of vmbr0"
    ),
    "an interface in another network namespace": Case(
        lambda host: host.function("nic").folder("net"), "in_use", "another network namespace"
    ),
    "memory of the card that a process has mapped": Case(
        lambda host: host.function("gpu").opened(f"/sys/devices/pci0000:03/{CARD}/resource0", "dpdk"), "in_use", "resource0 open"
    ),
}

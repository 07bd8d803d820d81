# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that depend on a device, in the ways in which Linux hosts mount, route and talk, and what is asked of each of them."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.driver_files import Driver, Entry, driver_file
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_13, E1000E, NVIDIA_DISPLAY, Tree

CARD = "0000:03:00.0"
"""The device that is claimed."""
OTHER = "0000:04:00.0"
NVME = "pci:v*d*sv*sd*bc01sc08i02*"
XHCI = "pci:v*d*sv*sd*bc0Csc03i30*"
SERIAL = "pci:v000013A8d*sv*sd*bc*sc*i*"
MODULES = {
    "nouveau": [NVIDIA_DISPLAY],
    "nvidia": [NVIDIA_DISPLAY],
    "e1000e": [E1000E],
    "nvme": [NVME],
    "xhci_pci": [XHCI],
    "ahci": ["pci:v*d*sv*sd*bc01sc06i01*"],
    "mpt3sas": ["pci:v00001000d*sv*sd*bc*sc*i*"],
    "exar_serial": [SERIAL],
    "mlx5_core": ["pci:v000015B3d*sv*sd*bc*sc*i*"],
    "virtio_pci": ["pci:v00001AF4d*sv*sd*bc*sc*i*"],
    "amdgpu": ["pci:v00001002d*sv*sd*bc*sc*i*"],
    "ccp": ["pci:v00001022d*sv*sd*bc*sc*i*"],
    "qat_4xxx": ["pci:v00008086d00004940sv*sd*bc*sc*i*"],
    "vfio-pci": [ANY_VFIO],
    "mlx5_vfio_pci": ["vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i*"],
}
FILES = {name: driver_file(DEBIAN_13, [Driver(name.encode(), (Entry(),))], aliases=aliases) for name, aliases in MODULES.items()}
MOUNT = "{number} 1 {device} / {place} rw,relatime shared:1 - {kind} {source} {options}\n"


class Host:
    """A host's tree, built step by step.  ``card`` is the sysfs folder of the claimed device."""

    def __init__(self, root: Path) -> None:
        self.tree = Tree(root).kernel(DEBIAN_13, MODULES, running=True).systemd().cmdline("root=/dev/mapper/root ro")
        for name, content in FILES.items():
            self.tree.file(f"/lib/modules/{DEBIAN_13}/kernel/drivers/{name}.ko", content)
        self.tree.module("vfio_pci", drivers=["vfio-pci"]).directory("/etc/modprobe.d")
        self.tree.pci("0000:00:00.0", "8086:1237", class_code=0x060000, group=0)
        self.card = f"/sys/devices/pci{CARD[:7]}/{CARD}"
        self._mounts = 0

    # -- the claimed device

    def function(self, kind: str, address: str = CARD, **more: t.Any) -> Host:
        made: dict[str, dict[str, t.Any]] = {
            "nvme": {"id": "144d:a808", "class_code": 0x010802, "driver": "nvme"},
            "nic": {"id": "8086:10d3", "class_code": 0x020000, "driver": "e1000e"},
            "gpu": {"id": "10de:1db1", "class_code": 0x030200, "driver": "nouveau"},
            "sas": {"id": "1000:0097", "class_code": 0x010700, "driver": "mpt3sas"},
            "ahci": {"id": "8086:a282", "class_code": 0x010601, "driver": "ahci"},
            "usb": {"id": "8086:a36d", "class_code": 0x0C0330, "driver": "xhci_pci"},
            "serial": {"id": "13a8:0352", "class_code": 0x070002, "driver": "exar_serial"},
            "mlx5": {"id": "15b3:1019", "class_code": 0x020000, "driver": "mlx5_core"},
            "virtio": {"id": "1af4:1041", "class_code": 0x020000, "driver": "virtio_pci"},
        }
        self.tree.pci(address, **{"group": int(address[5:7], 16), **made[kind], **more})
        return self

    # -- disks

    def disk(self, below: str, name: str, number: str, *parts: str, udev: str = "") -> Host:
        """A disk below a folder of the device, with partitions; ``udev`` is what udev knows about the last of them."""
        here = f"{below}/{name}"
        names = [name, *(f"{name}{part}" for part in parts)]
        major, minor = number.split(":")
        for index, one in enumerate(names):
            folder = here if index == 0 else f"{here}/{one}"
            its = f"{major}:{int(minor) + index}"
            self.tree.file(f"{folder}/dev", f"{its}\n").link(f"{folder}/subsystem", "/sys/class/block")
            kind = "disk" if index == 0 else "partition"
            self.tree.file(f"{folder}/uevent", f"MAJOR={major}\nMINOR={its.split(':')[1]}\nDEVNAME={one}\nDEVTYPE={kind}\n")
            if index:
                self.tree.file(f"{folder}/partition", f"{index}\n")
            self.tree.link(f"/sys/class/block/{one}", os.path.relpath(folder, "/sys/class/block"))
            self.tree.link(f"/sys/dev/block/{its}", os.path.relpath(folder, "/sys/dev/block"))
            if udev:
                self.tree.file(f"/run/udev/data/b{its}", udev if one == names[-1] else "E:ID_PART_TABLE_TYPE=gpt\n")
        return self

    def nvme_disk(self, *parts: str, udev: str = "") -> Host:
        return self.function("nvme").disk(f"{self.card}/nvme/nvme0", "nvme0n1", "259:0", *parts, udev=udev)

    def stacked(self, name: str, number: str, *lower: str) -> Host:
        """A disk made of others, such as dm-0."""
        here = f"/sys/devices/virtual/block/{name}"
        self.tree.file(f"{here}/dev", f"{number}\n").file(f"{here}/uevent", f"DEVNAME={name}\nDEVTYPE=disk\n")
        self.tree.link(f"/sys/class/block/{name}", os.path.relpath(here, "/sys/class/block"))
        self.tree.link(f"/sys/dev/block/{number}", os.path.relpath(here, "/sys/dev/block"))
        for one in lower:
            self.tree.link(f"/sys/class/block/{one}/holders/{name}", here).link(f"{here}/slaves/{one}", f"/sys/class/block/{one}")
        return self

    def mounted(self, place: str, kind: str, source: str, device: str = "0:25", options: str = "rw") -> Host:
        self._mounts += 1
        line = MOUNT.format(number=20 + self._mounts, device=device, place=place, kind=kind, source=source, options=options)
        return self._added("/proc/self/mountinfo", line)

    def fstab(self, *lines: str) -> Host:
        self.tree.file("/etc/fstab", "# comment\n" + "".join(f"{line}\n" for line in lines))
        return self

    def linked(self, path: str, target: str) -> Host:
        self.tree.link(path, target)
        return self

    def file(self, path: str, content: str | bytes) -> Host:
        self.tree.file(path, content)
        return self

    def program(self, path: str, script: str) -> Host:
        """A command of this host."""
        self.tree.file(path, f"#!/bin/sh\n{script}\n", 0o755)
        return self

    def folder(self, name: str) -> Host:
        """An empty folder of the device."""
        self.tree.directory(f"{self.card}/{name}")
        return self

    def _added(self, path: str, line: str) -> Host:
        place = self.tree.place(path)
        self.tree.file(path, (place.read_text() if place.exists() else "") + line)
        return self

    # -- networks

    def interface(self, name: str, below: str | None = None) -> Host:
        """An interface below a folder of the device; a virtual one without."""
        here = f"{below}/net/{name}" if below else f"/sys/devices/virtual/net/{name}"
        self.tree.file(f"{here}/operstate", "up\n").link(f"/sys/class/net/{name}", os.path.relpath(here, "/sys/class/net"))
        if below:
            self.tree.link(f"{here}/device", below)
        return self

    def nic(self, name: str = "enp3s0") -> Host:
        return self.function("nic").interface(name, self.card)

    def over(self, lower: str, upper: str) -> Host:
        self.tree.link(f"/sys/class/net/{lower}/upper_{upper}", f"/sys/class/net/{upper}")
        self.tree.link(f"/sys/class/net/{upper}/lower_{lower}", f"/sys/class/net/{lower}")
        return self

    def route(self, interface: str, destination: str = "00000000", gateway: str = "0100000A", mask: str = "00000000") -> Host:
        place = self.tree.place("/proc/net/route")
        if not place.exists():
            self.tree.file("/proc/net/route", "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n")
        return self._added("/proc/net/route", f"{interface} {destination} {gateway} 0003 0 0 0 {mask} 0 0 0\n")

    def ssh(self, client: str, local: str) -> Host:
        """The SSH connection that this process descends from."""
        return self.file("/proc/self/environ", f"PATH=/bin\0SSH_CONNECTION={client} 40000 {local} 22\0")

    # -- processes

    def opened(self, path: str, command: str = "qemu-system-x86") -> Host:
        self.tree.link("/proc/4711/fd/7", path).file("/proc/4711/comm", f"{command}\n")
        return self

    def commands(self) -> Commands:
        return Commands(self.tree.root)


class Case(t.NamedTuple):
    """``build`` makes the host; ``says`` is a part of the sentence; ``guard`` the guard that keeps the device."""

    build: t.Callable[[Host], object]
    guard: str
    says: str

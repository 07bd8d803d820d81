# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of tests/world as roots with all that a rehearsal asks for: where their functions are, and by which processor."""

from __future__ import annotations

import typing as t
from pathlib import Path

import machine
import unified_host
from world_configuration import World
from world_tree import WorldTrees

_DEVICES, _TOP = "sys/bus/pci/devices", "sys/devices/pci0000:00"
_HEADER_BYTES, _HEADER_TYPE, _BRIDGE, _SECONDARY = 0x40, 0x0E, 1, 0x19
_PORTS = {one.address.split(":")[1]: one.port for one in machine.FUNCTIONS if one.port}


def lay_out(trees: WorldTrees, world: World, folder: Path, windows: t.Mapping[str, str]) -> Path:
    """``windows`` are the texts of `resource` by address."""
    root = trees.lay_out(world, folder)
    # The ports by the numbers of their buses.
    ports = {bus: f"0000:00:{port}" for bus, port in (unified_host.PORTS if world.unified else _PORTS).items()}
    for place in sorted((root / _DEVICES).iterdir()):
        bus = place.name.split(":")[1]
        real = root / _TOP / ports.get(bus, "") / place.name
        real.parent.mkdir(parents=True, exist_ok=True)
        if place.name in ports.values() and real.is_dir():
            # Something behind it came first.
            for one in place.iterdir():
                one.rename(real / one.name)
            place.rmdir()
        else:
            place.rename(real)
        place.symlink_to(Path("../../../..") / real.relative_to(root))
    for number, port in ports.items():
        header = bytearray(_HEADER_BYTES)
        header[_HEADER_TYPE], header[_SECONDARY] = _BRIDGE, int(number, 16)
        (root / _DEVICES / port / "config").write_bytes(header)
    for address, text in windows.items():
        if (root / _DEVICES / address).is_dir():
            (root / _DEVICES / address / "resource").write_text(text, encoding="ascii")
    (root / "proc/cpuinfo").write_text("vendor_id\t: GenuineIntel\n", encoding="ascii")
    (root / "usr/bin/dmesg").symlink_to("busybox")
    return root

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Described functions as a host would list them: each at its address, behind a port of its own bus, as far as addresses say where."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

PORT_MODALIAS = "pci:v00001B36d0000000Csv00000000sd00000000bc06sc04i00"
_DOMAIN, _FIRST = "0000:", "0000:00"
#: The first slots are those of devices that boards have, the last one the chipset's.
_PORT_SLOTS = range(0x1E, 0, -1)
#: linux/pci_ids.h: bridges that a bus is behind.
_WITH_BUSES = (0x0604, 0x0607, 0x0609)
_HEADER_TYPE, _BRIDGE, _SECONDARY, _HEADER_BYTES = 0x0E, 1, 0x19, 0x40


def in_place(devices: t.Sequence[Device]) -> tuple[tuple[Device, ...], dict[str, bytes]]:
    """The functions with their paths in sysfs, and a port above each bus but the first; the ports' configuration by address.

    What is behind a described bridge is not known, so that it has no path: the ports take its place. Functions of a bus for which the
    first one has no slot left have none either.
    """
    placed = [device for device in devices if device.class_code >> 8 not in _WITH_BUSES]
    taken = {_slot(device.address) for device in placed if _bus(device.address) == _FIRST}
    free = (slot for slot in _PORT_SLOTS if slot not in taken)
    top = f"/devices/pci{_FIRST}"
    paths, ports = {_FIRST: top}, {}
    for bus in sorted({_bus(device.address) for device in placed} - {_FIRST}):
        if not bus.startswith(_DOMAIN):
            paths[bus] = f"/devices/pci{bus}"
            continue
        slot = next(free, None)
        if slot is not None:
            address = f"{_FIRST}:{slot:02x}.0"
            ports[address] = _configuration(int(bus.rpartition(":")[2], 16))
            paths[bus] = f"{top}/{address}"
    found = (replace(one, path=f"{paths[_bus(one.address)]}/{one.address}") for one in placed if _bus(one.address) in paths)
    by_address = {**{one.address: one for one in devices}, **{one.address: one for one in found}}
    return (*by_address.values(), *(_port(address, f"{top}/{address}") for address in ports)), ports


def _bus(address: str) -> str:
    return address.rpartition(":")[0]


def _slot(address: str) -> int:
    return int(address.rpartition(":")[2].partition(".")[0], 16)


def _port(address: str, path: str) -> Device:
    return Device(
        address=address,
        vendor=0x1B36,
        device=0x000C,
        subsystem_vendor=0,
        subsystem_device=0,
        class_code=0x060400,
        revision=0,
        modalias=PORT_MODALIAS,
        path=path,
    )


def _configuration(bus: int) -> bytes:
    """Of a bridge, as long as its header."""
    header = bytearray(_HEADER_BYTES)
    header[_HEADER_TYPE], header[_SECONDARY] = _BRIDGE, bus
    return bytes(header)

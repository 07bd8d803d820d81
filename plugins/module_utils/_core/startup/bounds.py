# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the host's devices something can touch, from the addresses, IDs and classes that it names."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import matches

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Act


def reached(
    inventory: Inventory | None, named: frozenset[str], event: frozenset[str], ids: frozenset[str], acts: frozenset[Act]
) -> frozenset[str] | None:
    """The addresses that a program can touch which names these addresses and IDs; None if that is not bounded.

    An ID that is added to a driver concerns all devices that have it, and so does one that is read from a named device; a bridge
    is removed with all that is behind it.
    """
    if not (named or event or ids):
        return None
    if inventory is None:
        return None if "new_id" in acts or ids else named | event
    there = [device for device in inventory.devices if device.address in named]
    if acts & {"remove", "rescan"} and any(device.is_bridge for device in there):
        return None
    if "new_id" not in acts:
        made = {device.address for device in inventory.devices if device.physical_function in named} if "create" in acts else set()
        return named | event | made
    if event:
        return None
    known = ids | {device.id for device in there}
    return named | {device.address for device in inventory.devices if device.id in known}


def of_class(inventory: Inventory | None, vendors: t.Container[int] | None, classes: t.Sequence[int]) -> frozenset[str] | None:
    """The devices of these vendors (None: any) and base classes, and the other functions of their slots; None without an inventory."""
    if inventory is None:
        return None
    slots = {
        _slot(device)
        for device in inventory.devices
        if (vendors is None or device.vendor in vendors) and device.class_code >> 16 in classes
    }
    return frozenset(device.address for device in inventory.devices if _slot(device) in slots)


def matching(inventory: Inventory, pattern: str) -> frozenset[str]:
    """The addresses that match a pattern of the shell."""
    return frozenset(device.address for device in inventory.devices if matches(device.address, pattern))


def _slot(device: Device) -> str:
    return device.address.rpartition(".")[0]

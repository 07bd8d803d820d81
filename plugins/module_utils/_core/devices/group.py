# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""IOMMU groups: user space gets a group as a whole, so a claim on one function concerns its companions."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.devices.selector import Selector, select

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim
    from ansible_collections.vfio.variants.plugins.module_utils._core.devices.pci import Device, Inventory


def companions(claims: t.Sequence[Claim], inventory: Inventory) -> tuple[tuple[Claim, Device], ...]:
    """The functions that share an IOMMU group with a claimed one and that nobody claims; bridges are not counted."""
    selected = {device.address: claim for claim in claims for device in select(inventory, claim.selectors, allow_missing=True)}
    found: dict[str, tuple[Claim, Device]] = {}
    for address, claim in selected.items():
        device = inventory.get(address)
        for other in inventory.group_of(device) if device and not device.is_bridge else ():
            if other.address not in selected and not other.is_bridge:
                found.setdefault(other.address, (claim, other))
    return tuple(found[address] for address in sorted(found))


def with_companions(claims: t.Sequence[Claim], inventory: Inventory) -> tuple[Claim, ...]:
    """The claims, and one more for each companion: it goes to its own best VFIO driver, never to its neighbour's."""
    return (*claims, *(_own_claim(claim, device) for claim, device in companions(claims, inventory)))


def _own_claim(claim: Claim, device: Device) -> Claim:
    selector = Selector(text=device.address, address=device.address)
    # Whatever wins for the claimed card: its companion is one device, and its native driver may serve others.
    return dataclasses.replace(claim, selectors=(selector,), driver="auto", expect=None, strategy="override")

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which device nodes the claims ask for together."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import takes
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import NOWHERE
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.selector import select

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.node import Node
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory


def nodes_of(claims: t.Iterable[Claim], inventory: Inventory) -> dict[str, Node]:
    """The nodes that are asked for, by the device's address.

    Raises HostError where two claims disagree about a device, or about devices of one IOMMU group, which have one node together.
    """
    found: dict[str, tuple[Claim, Node]] = {}
    by_group: dict[int, tuple[Device, Claim, Node]] = {}
    for claim in claims:
        node = claim.node
        if node is None:
            continue
        for device in select(inventory, claim.selectors, allow_missing=True):
            if not takes(claim, device):
                continue
            if device.address.startswith(NOWHERE):
                raise HostError(
                    f"{claim.option('node')}: hardware describes {device.id} without an address, by which its group's node is known.",
                    "Describe the device with its address, or leave node out.",
                )
            earlier, first = found.setdefault(device.address, (claim, node))
            if first != node:
                raise _contradiction(device, (earlier, first), (claim, node))
            if device.iommu_group is not None:
                other, earlier, first = by_group.setdefault(device.iommu_group, (device, claim, node))
                if first != node:
                    shared = f", which has /dev/vfio/{device.iommu_group} together with {other.address},"
                    raise _contradiction(device, (earlier, first), (claim, node), shared)
    return {address: node for address, (_claim, node) in found.items()}


def _contradiction(device: Device, earlier: tuple[Claim, Node], later: tuple[Claim, Node], why: str = "") -> HostError:
    said = " and ".join(f"{node} by {claim.option('node')}" for claim, node in (earlier, later))
    return HostError(f"{device.address} ({device.id}){why} gets a node of {said}.", "Let both say the same.")

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The device nodes by which user space opens a function through VFIO, and who may open them."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.node_access import NodeAccess, read_access

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.accounts import Accounts
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device


def paths_of(device: Device, is_held: bool = False) -> tuple[str, ...]:
    """The nodes of a function now; ``is_held`` if a VFIO driver is known to have it, which sysfs does not say before Linux 6.1."""
    found = tuple(f"/dev/{node}" for node in device.nodes if node.startswith("vfio/"))
    is_held = (is_held or device.driver == "vfio-pci") and device.iommu_group is not None
    return found or ((f"/dev/vfio/{device.iommu_group}",) if is_held else ())


def described(host: Host, device: Device, accounts: Accounts, is_held: bool = False) -> list[dict[str, str]]:
    """The nodes that exist with their owners and modes, as results have them."""
    return results(((path, read_access(host, path)) for path in paths_of(device, is_held)), accounts)


def results(found: t.Iterable[tuple[str, NodeAccess | None]], accounts: Accounts) -> list[dict[str, str]]:
    return [
        {
            "path": path,
            "owner": accounts.user_name(access.user),
            "group": accounts.group_name(access.group),
            "mode": f"{access.mode:04o}",
        }
        for path, access in found
        if access is not None
    ]

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd loads itself before it starts anything, udev included (kmod_setup() in src/core/kmod-setup.c)."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import systemd_version

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory

PROGRAM = "/usr/lib/systemd/systemd"
MODULE, VENDOR = "virtio_pci", 0x1AF4
"""The only driver of PCI devices among its modules, and the vendor of the devices for which it is loaded."""
FIRST = 250
"""Debian's 252 does it; older versions did not load it in the beginning."""


def read(tree: FileTree, kernel: Kernel, inventory: Inventory | None) -> tuple[Influence, ...]:
    """What this may do to drivers.  It happens in virtual machines alone, which is not asked here."""
    known = systemd_version.version(tree)
    if MODULE not in kernel.modules or (known is not None and known < FIRST):
        return ()
    if inventory is not None and not any(device.vendor == VENDOR for device in inventory.devices):
        return ()
    fact = f"loads {MODULE} in a virtual machine before udev starts"
    return (Influence(tree.shown(PROGRAM), fact, frozenset(("load",)), modules=frozenset((MODULE,))),)

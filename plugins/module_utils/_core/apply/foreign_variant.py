# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A variant driver that is asked for by its name and knows other devices only."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device


def foreign_variants(chosen: t.Iterable[tuple[Device, str]], kernel: Kernel) -> t.Iterator[str]:
    """A warning for each function whose module, by its normalized name, has aliases of VFIO, and none for it.

    An override binds it all the same (pci_match_device() in drivers/pci/pci-driver.c).
    """
    for device, module in chosen:
        if kernel.index.is_variant(module) and module not in {match.module for match in kernel.variants(device.modalias)}:
            yield (
                f"{module} is a variant driver for other devices: none of its aliases on kernel {kernel.release} matches "
                f"{device.address} ({device.id}). `driver: auto` takes the best one that does."
            )

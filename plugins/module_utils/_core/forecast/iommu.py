# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether there is an IOMMU after a boot: without one no VFIO driver takes a device (vfio_register_group_dev())."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.devices.pci import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.facts import Boot

AMD, INTEL = (0x1002, 0x1022), (0x8086,)
HOST_BRIDGE = 0x0600


def why_off(devices: t.Sequence[Device], boot: Boot) -> str | None:
    """Why no device will be in an IOMMU group, None where they will be.

    `iommu=off` counts on every x86 host, the makers' own arguments on hosts of theirs; of several the last one counts.
    """
    makers = {device.vendor for device in devices if device.class_code >> 8 == HOST_BRIDGE}
    names = ["iommu"]
    names += ["intel_iommu"] if makers & set(INTEL) or not makers else []
    names += ["amd_iommu"] if makers & set(AMD) or not makers else []
    for name in names:
        words = [word for value in boot.cmdline.values(name) for word in value.split(",") if word in ("on", "off", "force")]
        if words and words[-1] == "off":
            return f"there is no IOMMU: {boot.cmdline_source} says {name}=off"
    if boot.has_iommu is False:
        return "there is no IOMMU: no device is in an IOMMU group"
    return None

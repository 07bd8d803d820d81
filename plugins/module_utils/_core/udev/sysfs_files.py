# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the folder of a PCI function in sysfs has, as far as it follows from what is known of the function.

Attributes and their modes are those of drivers/pci/pci-sysfs.c, drivers/pci/iov.c and drivers/base; what udev reads of them is what
sd_device_get_sysattr_value() does: no folder, no file that cannot be read, and of links only the names of three.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import is_pattern

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import Key

_READ, _WRITTEN, _FOLDER = (0o444,), (0o644,), (0o755,)
MODES: t.Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys("class device irq local_cpulist local_cpus modalias resource revision".split(), _READ),
    **dict.fromkeys("subsystem_device subsystem_vendor vendor consistent_dma_mask_bits dma_mask_bits".split(), _READ),
    **dict.fromkeys("broken_parity_status d3cold_allowed driver_override enable msi_bus config uevent".split(), _WRITTEN),
    **dict.fromkeys(("power", "subsystem"), _FOLDER),
    "power/control": _WRITTEN,
    "remove": (0o220, 0o200),
    "rescan": (0o200, 0o220),
    "boot_vga": _READ,
    "numa_node": _WRITTEN,
    "physfn": _FOLDER,
    "sriov_numvfs": _WRITTEN,
    "sriov_totalvfs": _READ,
}
"""By name what a file's mode may be; a link has that of the folder which it leads to."""
EVERYWHERE = frozenset(MODES) - {"boot_vga", "numa_node", "physfn", "sriov_numvfs", "sriov_totalvfs"}
"""What each function has, whatever it is."""
MISTAKEN: t.Mapping[str, str] = {
    **dict.fromkeys(("idVendor", "vendor_id", "vendorid", "pci_vendor"), "vendor"),
    **dict.fromkeys(("idProduct", "device_id", "deviceid", "product", "product_id", "pci_device"), "device"),
    **dict.fromkeys(("bInterfaceClass", "class_id", "pci_class"), "class"),
    **dict.fromkeys(("subvendor", "subsystem_vendor_id", "subvendor_id"), "subsystem_vendor"),
    **dict.fromkeys(("subdevice", "subsystem_device_id", "subdevice_id"), "subsystem_device"),
}
"""Names that no file of a function has, but the ones of USB devices, lspci or libpci, each with the one that is meant."""
_NEVER_READ = frozenset("power iommu iommu_group physfn firmware_node remove rescan reset reset_subordinate sriov_vf_msix_count".split())
"""Folders, links that are not read, and files that are only written, whether the function has them or not."""
_LISTED = re.compile(r"(?:virtfn|supplier:|consumer:).*", re.DOTALL)
_LINE = re.compile(r"\*([A-Z_]+=[^\n]*)\*", re.DOTALL)


def is_never_read(name: str) -> bool:
    """Whether udev gets no value by this name: neither == nor != holds."""
    first, slash, _rest = name.partition("/")
    if name in MISTAKEN or (name not in MODES and name.lower().replace("-", "_") in MODES):
        return True
    if slash:
        # There is nothing below a file.
        return 0o755 not in MODES.get(first, (0o755,))
    return first in _NEVER_READ or _LISTED.fullmatch(first) is not None


def allows(path: str, mask: int) -> bool | None:
    """Whether a file that is there gives one of the permissions; None if that is not known."""
    found = {mode & mask > 0 for mode in MODES.get(path, ())}
    return found.pop() if len(found) == 1 else None


def in_uevent(key: Key, lines: t.Mapping[str, str]) -> bool | None:
    """Whether a key about ATTR{uevent} that asks for one of its lines holds, as in `*PCI_ID=10DE:*`; None for other patterns.

    Before the bus's own ``lines`` the file has others, of the driver and of the device tree (dev_uevent() in drivers/base/core.c).
    """
    found: set[bool | None] = set()
    for alternative in key.value.split("|"):
        asked = _LINE.fullmatch(alternative)
        name, _equals, value = asked[1].partition("=") if asked is not None else ("", "", "")
        if name not in lines or is_pattern(value) or key.ignores_case:
            return None
        found.add(lines[name].startswith(value))
    return (True in found) != key.is_negated

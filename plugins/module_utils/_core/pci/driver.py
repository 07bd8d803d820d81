# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PCI driver as the kernel knows it: its name and its ID table."""

from __future__ import annotations

import dataclasses
import re
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

ANY = 0xFFFFFFFF
"""PCI_ANY_ID."""
_ALIAS = re.compile(
    r"(vfio_pci|pci):v([0-9A-F]{8}|\*)d([0-9A-F]{8}|\*)sv([0-9A-F]{8}|\*)sd([0-9A-F]{8}|\*)"
    r"bc([0-9A-F]{2}|\*)sc([0-9A-F]{2}|\*)i(?:([0-9A-F]{2})\*?|\*)"
)


@dataclasses.dataclass(frozen=True)
class PciId:
    """One entry of a driver's ID table (struct pci_device_id); ``class_code`` and ``class_mask`` have 24 bits."""

    vendor: int = ANY
    device: int = ANY
    subsystem_vendor: int = ANY
    subsystem_device: int = ANY
    class_code: int = 0
    class_mask: int = 0
    override_only: bool = False
    """Whether the entry matches only a device whose driver_override names the driver (PCI_ID_F_VFIO_DRIVER_OVERRIDE)."""

    def matches(self, device: Device) -> bool:
        """As pci_match_one_device() in drivers/pci/pci.h."""
        return (
            self.vendor in (ANY, device.vendor)
            and self.device in (ANY, device.device)
            and self.subsystem_vendor in (ANY, device.subsystem_vendor)
            and self.subsystem_device in (ANY, device.subsystem_device)
            and not (self.class_code ^ device.class_code) & self.class_mask
        )

    @classmethod
    def from_alias(cls, alias: str) -> PciId | None:
        """The entry for which modpost wrote this alias (do_pci_entry() in scripts/mod/file2alias.c); None if modpost did not write it."""
        match = _ALIAS.fullmatch(alias)
        if match is None:
            return None
        bus, *numbers = match.groups()
        vendor, device, subsystem_vendor, subsystem_device = (ANY if text == "*" else int(text, 16) for text in numbers[:4])
        code = mask = 0
        for text in numbers[4:]:
            known = text not in (None, "*")
            code = code << 8 | (int(text, 16) if known else 0)
            mask = mask << 8 | (0xFF if known else 0)
        return cls(vendor, device, subsystem_vendor, subsystem_device, code, mask, bus == "vfio_pci")


@dataclasses.dataclass(frozen=True)
class PciDriver:
    """A driver and its ID table; ``asynchronous`` if it has PROBE_PREFER_ASYNCHRONOUS or `async_probe` on the command line."""

    name: str
    ids: tuple[PciId, ...] = ()
    asynchronous: bool = False

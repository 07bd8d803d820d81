# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Built-in drivers that may be for a device that nothing has bound in the running kernel, which lists no IDs of its built-in drivers.

A probe that failed has left such a device alone, and will again; or somebody has unbound it, and the next boot binds it.  Nothing tells
these two apart.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.module_drivers import BUILT_IN_NAMES
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.declines import VIRTIO, VIRTIO_NUMBERS

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory

_BRIDGES = 0x06
# Drivers that take every device of a class, by the digits that their PCI_DEVICE_CLASS() compares.
_BY_CLASS = {
    "0700": "8250_pci",
    "010601": "ahci",
    "010802": "nvme",
    "0805": "sdhci_pci",
    "0c0300": "uhci_hcd",
    "0c0310": "ohci_pci",
    "0c0320": "ehci_pci",
    "0c0330": "xhci_pci",
    "0c0340": "thunderbolt",
}
# Where the drivers of a class are in the kernel's source.  IDE's controllers are often there without a driver.
_FOLDERS: t.Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("0100", "0104", "0106", "0107", "0108"), ("drivers/ata/", "drivers/message/", "drivers/nvme/", "drivers/scsi/")),
    "02": ("drivers/net/",),
    "03": ("drivers/gpu/drm/", "drivers/video/fbdev/"),
    "04": ("sound/", "drivers/media/"),
    "0c03": ("drivers/usb/host/",),
    "0d": ("drivers/net/wireless/",),
}
_BUILT_IN_PATH = re.compile(r"^kernel/(\S+/)([^/\s]+)\.ko", re.MULTILINE)


class UnboundBuiltIns:
    """``linked`` are the modules that are built into the kernel that runs, ``modules_builtin`` is the file of that name."""

    def __init__(
        self, kernel: Kernel, linked: t.Collection[str], modules_builtin: str, inventory: Inventory, of_driver: t.Callable[[str], str]
    ) -> None:
        """``of_driver`` is the module of a driver by its name."""
        self._kernel = kernel
        self._linked = linked
        folders = {normalize_module_name(name): folder for folder, name in _BUILT_IN_PATH.findall(modules_builtin)}
        owned = {name: of_driver(name) for name in inventory.drivers}
        self._folders = {name: folders[module] for name, module in owned.items() if module in linked and module in folders}
        self._taken = {
            (one.vendor, one.device, one.subsystem_vendor, one.subsystem_device, one.class_code): one.driver
            for one in inventory.devices
            if one.driver is not None and owned.get(one.driver) in linked
        }

    @staticmethod
    def is_free(device: Device) -> bool:
        """Whether it has no driver although it may have one; a bridge is often there without."""
        return device.driver is None and device.driver_override is None and device.drivers_autoprobe and device.class_code >> 16 != _BRIDGES

    def of(self, device: Device) -> tuple[str, ...]:
        """The names of those that may be for the device."""
        digits = f"{device.class_code:06x}"
        equal = self._taken.get((device.vendor, device.device, device.subsystem_vendor, device.subsystem_device, device.class_code))
        of_class = next((module for prefix, module in _BY_CLASS.items() if digits.startswith(prefix) and module in self._linked), None)
        if device.vendor == VIRTIO and device.device in VIRTIO_NUMBERS and "virtio_pci" in self._linked:
            of_class = "virtio_pci"
        if equal is not None:
            return (equal,)
        if of_class is not None:
            return (BUILT_IN_NAMES[of_class],)
        if self._kernel.natives(device.modalias):
            return ()
        places = next((places for prefix, places in _FOLDERS.items() if digits.startswith(prefix)), ())
        return tuple(sorted(name for name, folder in self._folders.items() if folder.startswith(places))) if places else ()

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the kernel matches a driver with a PCI function (drivers/pci/pci-driver.c, drivers/base/dd.c, drivers/vfio/pci)."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.iommu import switched_off

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciDriver, PciId


# Bridges with a header of another type than 0, which vfio_pci_core_register_device() refuses: PCI-to-PCI, CardBus, semi-transparent.
BRIDGE_HEADERS = (0x0604, 0x0607, 0x0609)
# vfio_pci_dev_in_denylist() in drivers/vfio/pci/vfio_pci.c; only vfio-pci itself uses it.
DENYLIST = {(0x8086, number) for number in (0x0435, 0x0443, 0x0B25, 0x0CFE, 0x19E2, 0x19E3, 0x37C8, 0x37C9)}
# Between these the order of drivers for a device that is added later changed ("PCI: Allow drivers to be probed asynchronously").
OLD_ADD_ORDER, NEW_ADD_ORDER = (6, 16), (7, 2)


def matches(driver: PciDriver, dynamic_ids: t.Sequence[PciId], device: Device, override: str | None) -> bool:
    """As pci_match_device(): with an override only the named driver matches; else by dynamic IDs, then by the driver's table."""
    if override is not None:
        return _is_named(driver, override)
    return _has_dynamic_id(dynamic_ids, device) or _has_static_id(driver, device)


def _is_named(driver: PciDriver, override: str) -> bool:
    """As strcmp(): case and dashes matter, and any driver can be named for any device."""
    return driver.name == override


def _has_dynamic_id(dynamic_ids: t.Sequence[PciId], device: Device) -> bool:
    """pci_match_device() checks the dynamic IDs first; none of them is override-only."""
    return any(entry.matches(device) for entry in dynamic_ids)


def _has_static_id(driver: PciDriver, device: Device) -> bool:
    """Override-only entries (PCI_ID_F_VFIO_DRIVER_OVERRIDE) are left out: they match only with an override."""
    return any(entry.matches(device) for entry in driver.ids if not entry.override_only)


def can_probe(is_virtual: bool, autoprobe: bool, override: str | None) -> bool:
    """As pci_device_can_probe(): virtual functions are probed only with sriov_drivers_autoprobe or an override."""
    return not is_virtual or autoprobe or override is not None


def vfio_refusal(driver: PciDriver, device: Device, no_iommu: str | None, denylist_disabled: bool) -> str | None:
    """Why a VFIO driver's probe fails for the device; None if it does not (vfio_pci_probe(), vfio_pci_core_register_device())."""
    if no_iommu is not None:
        return no_iommu
    if device.class_code >> 8 in BRIDGE_HEADERS:
        return NO_BRIDGES
    if driver.name == "vfio-pci" and (device.vendor, device.device) in DENYLIST and not denylist_disabled:
        return DENIED
    return None


def attach_order(drivers: t.Sequence[PciDriver], release: str) -> tuple[tuple[PciDriver, ...], ...]:
    """The order, or the possible orders, in which registered drivers are tried for a device that is added later.

    Up to 6.16 device_attach() uses the order of registration; since 7.2 device_initial_probe() tries those that probe
    synchronously first.  In between it depends on the exact release, so both are possible.
    """
    registered = tuple(drivers)
    two_passes = tuple(sorted(registered, key=lambda driver: driver.asynchronous))
    version = _version(release)
    if version <= OLD_ADD_ORDER or registered == two_passes:
        return (registered,)
    return (two_passes,) if version >= NEW_ADD_ORDER else (registered, two_passes)


def _version(release: str) -> tuple[int, ...]:
    match = re.match(r"(\d+)\.(\d+)", release)
    return (0, 0) if match is None else (int(match[1]), int(match[2]))


VENDORS = {"intel": (0x8086,), "amd": (0x1002, 0x1022)}
HOST_BRIDGE = 0x0600
NO_BRIDGES = "VFIO does not accept bridges"
DENIED = "vfio-pci refuses this device unless disable_denylist=1"
UNSERVED_ADVICE = "Take igfx_off out of intel_iommu= if that is set; else the firmware leaves the device out: let its driver have it."


def why_off(devices: t.Sequence[Device], boot: Boot) -> str | None:
    """Why no device will be in an IOMMU group; None if they will be.

    `iommu=off` applies to every x86 host, the vendors' arguments to hosts with their IOMMU, by the host bridges where nothing else says
    whose that is.
    """
    for vendor in _vendors(devices) if boot.iommu_vendor is None else (boot.iommu_vendor,):
        word = switched_off(boot.cmdline, vendor)
        if word is not None:
            return f"there is no IOMMU: {boot.cmdline_source} has {word}"
    if boot.has_iommu is False:
        return "there is no IOMMU: no device is in an IOMMU group"
    return None


def _vendors(devices: t.Sequence[Device]) -> t.Sequence[str]:
    makers = {device.vendor for device in devices if device.class_code >> 8 == HOST_BRIDGE}
    return [vendor for vendor, ids in VENDORS.items() if makers & set(ids) or not makers] or ["other"]


NO_GROUP = "the IOMMU does not serve this device: others are in IOMMU groups, and it is in none"


def unserved(devices: t.Sequence[Device], boot: Boot) -> frozenset[str]:
    """The addresses of devices that VFIO refuses because no IOMMU serves them, although one serves others (iommu_group_get())."""
    served = boot.has_iommu and any(device.iommu_group is not None and not device.is_bridge for device in devices)
    return frozenset(device.address for device in devices if device.iommu_group is None) if served else frozenset()

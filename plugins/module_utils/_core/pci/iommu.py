# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the running kernel has an IOMMU, and what says whether the next one will have it."""

from __future__ import annotations

import dataclasses
import re
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory

Vendor = t.Literal["intel", "amd", "arm", "virtio", "other"]
GROUPS, CLASS = "/sys/kernel/iommu_groups", "/sys/class/iommu"
NO_IOMMU = "vfio-noiommu"
"""The name of groups that VFIO makes of devices without an IOMMU (vfio_noiommu_group_alloc() in drivers/vfio/group.c)."""
TABLES = "/sys/firmware/acpi/tables"
TABLE_OF: t.Final[t.Mapping[Vendor, tuple[str, ...]]] = {
    "intel": ("DMAR", "VIOT"),
    "amd": ("IVRS", "VIOT"),
    "arm": ("IORT", "VIOT"),
    "virtio": ("VIOT",),
    "other": (),
}
"""The firmware's tables that describe an IOMMU, its own one first; VIOT is that of a virtual machine's virtio-iommu."""
VENDOR_OF: t.Final[t.Mapping[str, Vendor]] = {
    "GenuineIntel": "intel",
    "CentaurHauls": "intel",
    "Shanghai": "intel",
    "AuthenticAMD": "amd",
    "HygonGenuine": "amd",
}
"""By the CPU's name of its maker; those of Zhaoxin have an IOMMU like Intel's."""
OPTION_OF: t.Final[t.Mapping[Vendor, str]] = {"intel": "CONFIG_INTEL_IOMMU", "amd": "CONFIG_AMD_IOMMU", "virtio": "CONFIG_VIRTIO_IOMMU"}
XEN, XEN_CONTROL = "/proc/xen/capabilities", "control_d"
UNSAFE = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
DEFAULT_ON = re.compile(r"^CONFIG_INTEL_IOMMU_DEFAULT_ON(?:_INTGPU_OFF)?=y$", re.MULTILINE)
VENDORS = re.compile(r"^(?:vendor_id|CPU implementer)\s*:\s*(\S+)", re.MULTILINE)
LARGEST = 4 << 20


@dataclasses.dataclass(frozen=True)
class Iommu:
    """``now``: whether the running kernel has one.  ``described``: whether the firmware describes one; None if that does not show.

    ``unsafe``: whether VFIO works without one (no-IOMMU mode).  ``of_xen``: whether Xen has it, which hides it from its control domain.
    """

    now: bool
    vendor: Vendor
    described: bool | None
    unsafe: bool
    of_xen: bool = False

    @classmethod
    def read(cls, host: Host, inventory: Inventory) -> Iommu:
        vendor = vendor_of(host)
        of_xen = XEN_CONTROL in (host.text_or_none(XEN) or "").split(",")
        tables = TABLE_OF[vendor]
        described = any(host.exists(f"{TABLES}/{table}") for table in tables) if tables and host.is_dir(TABLES) and not of_xen else None
        groups = {name for name in host.names(GROUPS) if host.text_or_none(f"{GROUPS}/{name}/name") != NO_IOMMU}
        now = bool(groups or host.names(CLASS)) or any(is_served(host, device) for device in inventory.devices)
        return cls(now, vendor, described, host.text_or_none(UNSAFE) in ("Y", "1"), of_xen)


def is_served(host: Host, device: Device) -> bool:
    """Whether an IOMMU has put the device into a group, and not VFIO without one."""
    return device.iommu_group is not None and host.text_or_none(f"{GROUPS}/{device.iommu_group}/name") != NO_IOMMU


INTERRUPTS, REMAPPED = "/proc/interrupts", b" IR-"
PC, ITS = b" IO-APIC", b" ITS-"
"""What only a PC has without remapping: `PCI-MSI` is in the names of other machines' chips, too."""
UNSAFE_INTERRUPTS = ("/sys/module/vfio_iommu_type1", "/sys/module/iommufd")


def remaps_interrupts(host: Host) -> bool | None:
    """Whether a device cannot raise interrupts of others; None if that does not show.

    The names of the chips in /proc/interrupts begin with IR- then on a PC (drivers/iommu/intel/irq_remapping.c,
    drivers/iommu/amd/iommu.c).  An Arm's ITS looks each interrupt up by the device that raised it (IRQ_DOMAIN_FLAG_ISOLATED_MSI).
    """
    text = host.head(INTERRUPTS, LARGEST) or b""
    if REMAPPED in text or ITS in text:
        return True
    return False if PC in text else None


def allows_unsafe_interrupts(host: Host) -> bool:
    """Whether VFIO takes devices although interrupts are not remapped (`allow_unsafe_interrupts`)."""
    return any(host.text_or_none(f"{module}/parameters/allow_unsafe_interrupts") in ("Y", "1") for module in UNSAFE_INTERRUPTS)


def is_default(configuration: str | None) -> bool | None:
    """Whether a kernel of this configuration switches an Intel IOMMU on without an argument; None if it could not be read."""
    return None if configuration is None else DEFAULT_ON.search(configuration) is not None


def is_passthrough(configuration: str | None) -> bool:
    """Whether a kernel of this configuration leaves the host's own devices untranslated, as SUSE's does (iommu_subsys_init())."""
    return "\nCONFIG_IOMMU_DEFAULT_PASSTHROUGH=y\n" in f"\n{configuration or ''}\n"


def missing_option(host: Host, configuration: str | None) -> str | None:
    """The option of a kernel's configuration without which it has no driver for the IOMMU of this machine's CPU, if it lacks it.

    None, too, if the configuration cannot be read.
    """
    option = OPTION_OF.get(vendor_of(host))
    options = ("CONFIG_IOMMU_SUPPORT",) if option is None else (option, "CONFIG_IOMMU_SUPPORT")
    return next((one for one in options if f"# {one} is not set\n" in f"{configuration or ''}\n"), None)


def vendor_of(host: Host) -> Vendor:
    """Whose IOMMU the machine has: by the firmware's tables where they describe one, as a virtual machine's need not be its CPU's."""
    described = [vendor for vendor, tables in TABLE_OF.items() if tables and host.exists(f"{TABLES}/{tables[0]}")]
    of_cpu = _vendor_of_cpu(host)
    return of_cpu if of_cpu is not None and (of_cpu in described or not described) else next(iter(described), "other")


def _vendor_of_cpu(host: Host) -> Vendor | None:
    found = VENDORS.search(host.text_or_none("/proc/cpuinfo") or "")
    if found is None:
        return None
    return "arm" if found[1].startswith("0x") else VENDOR_OF.get(found[1])

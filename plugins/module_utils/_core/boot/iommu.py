# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a kernel that boots will have an IOMMU: what the running one has, and what its entry gives it otherwise."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.iommu import BootArguments, after, switched_on
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.build_requirements import kernel_config
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import OSRELEASE
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.iommu import (
    Iommu,
    is_default,
    is_passthrough,
    is_served,
    missing_option,
    vendor_of,
)

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.next_boot import BootEntry
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.iommu import Vendor

WORDS = ("intel_iommu", "amd_iommu", "iommu")
UNDER_XEN = "/proc/xen"


def arguments_of(host: Host, release: str, cmdline: Cmdline, source: str, hypervisor: str | None = None) -> BootArguments:
    """What a kernel is given when it boots, and how it stands to the running one."""
    running, now = host.text_or_none(OSRELEASE), Cmdline.read(host)
    configuration = kernel_config(host, release, is_whole=True)
    of_running = configuration if release == running else None if running is None else kernel_config(host, running, is_whole=True)
    is_running = release == running and cmdline.arguments == now.arguments
    has_now = switched_on(now, is_default(of_running))
    missing = missing_option(host, configuration)
    passes = is_passthrough(configuration)
    return BootArguments(cmdline, source, is_default(configuration), is_running, has_now, missing, hypervisor, passes)


def vendor(host: Host) -> Vendor | None:
    """Whose words count for it; None if neither the firmware's tables nor the CPU say that."""
    found = vendor_of(host)
    return None if found == "other" else found


def expected(host: Host, inventory: Inventory, entry: BootEntry) -> tuple[bool | None, str | None]:
    """Whether there will be an IOMMU, None if nothing speaks against it; and why there may be none, a sentence."""
    if not inventory.devices:
        return None, None
    now = Cmdline.read(host)
    running, is_same = any(is_served(host, device) for device in inventory.devices), _words(entry.cmdline) == _words(now)
    known = running if is_same else None
    if entry.hypervisor is not None or host.exists(UNDER_XEN):
        return _under_xen(host, entry, known)
    # Without the firmware's tables the kernel finds no IOMMU of a PC (detect_intel_iommu(), amd_iommu_detect()).
    if "acpi=off" in entry.cmdline.of_kernel.arguments and "acpi=off" not in now.of_kernel.arguments:
        return None, f"There may be no IOMMU: {entry.cmdline_source} has acpi=off, without which the running kernel has found one."
    iommu = Iommu.read(host, inventory)
    boot = arguments_of(host, entry.release, entry.cmdline, entry.cmdline_source)
    # What else a machine may have needs no argument, and the running kernel shows it.
    if (iommu.vendor != "intel" and boot.missing_option is None) or (is_same and entry.release == host.text_or_none(OSRELEASE)):
        return known, None
    will, why = after(iommu, boot)
    return (known, None) if will else (None, f"There may be no IOMMU: {why}.")


def _under_xen(host: Host, entry: BootEntry, known: bool | None) -> tuple[bool | None, str | None]:
    """Xen keeps the IOMMU to itself; what its first guest has now says nothing about a boot without it, nor the other way about."""
    if entry.hypervisor is None:
        return None, "There may be no IOMMU: Xen has the machine's now, and whether the kernel finds one without it is not shown."
    if host.exists(UNDER_XEN):
        return known, None
    return None, f"There may be no IOMMU: {entry.source} starts the kernel under {entry.hypervisor}, which keeps it to itself."


def _words(cmdline: Cmdline) -> tuple[str, ...]:
    return tuple(word for word in cmdline.of_kernel.arguments if word.partition("=")[0].partition(".")[0] in WORDS)

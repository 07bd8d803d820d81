# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a claim for a VFIO driver can be met: without an IOMMU no VFIO driver takes a device."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.iommu import Iommu


BY_MODULE = " (the module kernel_cmdline does that)"


class BootArguments(t.NamedTuple):
    """A kernel that boots next: its arguments, where they are from, and whether it switches an Intel IOMMU on without one.

    ``is_running`` if it is the running one, with the same arguments.
    """

    cmdline: Cmdline
    source: str
    is_default: bool | None
    is_running: bool = False


def after(iommu: Iommu, boot: BootArguments) -> tuple[bool, str]:
    """Whether there will be an IOMMU, and why not: a clause."""
    word = _switch(boot.cmdline, iommu.vendor)
    if word is not None and word.endswith("off"):
        return False, f"{boot.source} gives the kernel {word}"
    if iommu.now:
        return True, ""
    if iommu.described is False:
        return False, "the firmware describes none"
    if iommu.vendor == "intel" and word is None and not boot.is_default:
        known = "does not switch it on" if boot.is_default is False else "may not switch it on"
        return False, f"the kernel {known} by itself, and {boot.source} does not give it intel_iommu=on"
    if boot.is_running:
        return False, "the running kernel has the same arguments, and none"
    return (iommu.described is True or (iommu.vendor == "intel" and word is not None)), "whether the firmware describes one is not shown"


def refuse_without_iommu(iommu: Iommu, boots: t.Sequence[BootArguments], live: bool) -> None:
    """Raises HostError if no VFIO driver can take a device: now if ``live``, else at the next boot."""
    if iommu.unsafe or (live and iommu.now):
        return
    results = [after(iommu, boot) for boot in boots]
    will = any(found for found, _why in results)
    if will and not live:
        return
    if will:
        raise HostError(
            "This host has no IOMMU yet, so no VFIO driver can take a device; it will have one after the next boot.",
            "Reboot first, or leave the binding to the boot policy.",
        )
    why = next((why for _found, why in results), "which kernel boots next cannot be determined")
    now = "no IOMMU after the next boot" if iommu.now else "no IOMMU, and none after the next boot"
    raise HostError(f"This host has {now}: {why}. No VFIO driver can take a device.", _advice(iommu))


def _advice(iommu: Iommu) -> str:
    virtual = "In a virtual machine, give it an IOMMU."
    if iommu.vendor == "intel":
        setup = "Switch on VT-d in the firmware's setup, and add" if iommu.described is False else "Add"
        return f"{setup} intel_iommu=on to the kernel's command line{BY_MODULE}, remove any iommu=off, and reboot. {virtual}"
    if iommu.vendor == "amd":
        return (
            "Linux switches an AMD IOMMU on by itself: switch on IOMMU (AMD-Vi) in the firmware's setup, "
            f"remove amd_iommu=off and iommu=off from the kernel's command line{BY_MODULE}, and reboot. {virtual}"
        )
    if iommu.vendor == "arm":
        return (
            "Linux switches an SMMU on by itself: switch it on in the firmware's setup, so that the table IORT or the device tree "
            f"describes it, and use a kernel with CONFIG_ARM_SMMU_V3 or CONFIG_ARM_SMMU. {virtual}"
        )
    return f"Switch the IOMMU on in the firmware's setup. {virtual}"


def _switch(cmdline: Cmdline, vendor: str) -> str | None:
    """The word that switches the IOMMU on or off, if there is one (intel_iommu_setup(), parse_amd_iommu_options(), iommu_setup())."""
    if vendor in ("intel", "amd", "other"):
        for value in cmdline.values("iommu"):
            if "off" in value.split(","):
                return "iommu=off"
    own = {"intel": "intel_iommu", "amd": "amd_iommu"}.get(vendor)
    words = [part for value in (cmdline.values(own) if own else ()) for part in value.split(",") if part in ("on", "off")]
    return f"{own}={words[-1]}" if words else None

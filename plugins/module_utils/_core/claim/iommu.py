# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a claim for a VFIO driver can be met: without an IOMMU no VFIO driver takes a device."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import name_and_value
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import parse_boolean

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.iommu import Iommu, Vendor


BY_MODULE = " (the module iommu does that)"
ON = "intel_iommu=on"
PASSTHROUGH = dict.fromkeys(("arm", "virtio"), "iommu.passthrough=1")
"""By vendor, the argument that leaves the host's own devices untranslated; else `iommu=pt` (iommu_setup() in pci-dma.c of x86)."""
USUAL_PASSTHROUGH = "iommu=pt"


class BootArguments(t.NamedTuple):
    """A kernel that boots next: its arguments, where they are from, and whether it switches an Intel IOMMU on without one.

    ``is_running`` if it is the running one, with the same arguments.
    """

    cmdline: Cmdline
    source: str
    is_default: bool | None
    is_running: bool = False
    running_is_switched_on: bool = False
    """Whether the running kernel has its Intel IOMMU by an argument or by its default, which another one may lack."""
    missing_option: str | None = None
    """What the kernel's configuration lacks, without which it has no driver for an IOMMU of this CPU."""
    hypervisor: str | None = None
    """What starts the kernel as its guest."""
    passes_by_default: bool = False
    """Whether it leaves the host's own devices untranslated without an argument."""


def after(iommu: Iommu, boot: BootArguments) -> tuple[bool, str]:
    """Whether there will be an IOMMU, and why not: a clause."""
    kept = _kept_from(iommu, boot)
    if kept is not None:
        return False, kept
    word = _switch(boot.cmdline, iommu.vendor)
    # tboot_force_iommu(): Intel's is on, whatever the words say, where the kernel was measured and started by tboot.
    is_forced = iommu.vendor == "intel" and boot.is_running and iommu.now
    if word is not None and word.endswith("off") and not is_forced:
        return False, f"{boot.source} gives the kernel {word}"
    if iommu.vendor != "arm" and _without_acpi(boot.cmdline) and not (boot.is_running and iommu.now):
        return False, f"{boot.source} gives the kernel acpi=off, with which it does not read the firmware's tables"
    needs_word = iommu.vendor == "intel" and word is None and not boot.is_default
    if iommu.now and not (needs_word and boot.running_is_switched_on and not boot.is_running):
        return True, ""
    if iommu.described is False:
        return False, "the firmware describes none"
    if needs_word:
        known = "does not switch it on" if boot.is_default is False else "may not switch it on"
        return False, f"the kernel {known} by itself, and {boot.source} does not give it intel_iommu=on"
    if boot.is_running:
        return False, "the running kernel has the same arguments, and none"
    return (iommu.described is True or (iommu.vendor == "intel" and word is not None)), "whether the firmware describes one is not shown"


def _kept_from(iommu: Iommu, boot: BootArguments) -> str | None:
    """Why a kernel has no IOMMU whatever it is given, as a clause."""
    if boot.hypervisor is not None or (iommu.of_xen and boot.is_running):
        return f"{boot.source} is that of a kernel under {boot.hypervisor or 'Xen'}, which keeps the IOMMU to itself"
    if boot.missing_option is not None and not (boot.is_running and iommu.now):
        return f"the kernel is built without {boot.missing_option}"
    return None


def switched_on(cmdline: Cmdline, is_default: bool | None) -> bool:
    """Whether an Intel IOMMU is on because of an argument or of the kernel's default; firmware may ask for one as well."""
    return bool(is_default) or (_switch(cmdline, "intel") or "").endswith("=on")


def needed_arguments(iommu: Iommu, boots: t.Sequence[BootArguments], passthrough: bool) -> tuple[str, ...]:
    """The arguments without which a kernel would have no IOMMU although the machine has one.

    One that switches it off is somebody's decision, against which nothing is added.
    """
    words = []
    if iommu.vendor == "intel" and iommu.described is not False and any(_lacks_switch(iommu, boot) for boot in boots):
        words.append(ON)
    if passthrough and not all(_passes_through(boot, iommu.vendor) for boot in boots):
        words.append(PASSTHROUGH.get(iommu.vendor, USUAL_PASSTHROUGH))
    return tuple(words)


def _lacks_switch(iommu: Iommu, boot: BootArguments) -> bool:
    return (
        not boot.is_default
        and _kept_from(iommu, boot) is None
        and _switch(boot.cmdline, iommu.vendor) is None
        and not after(iommu, boot)[0]
    )


def _passes_through(boot: BootArguments, vendor: Vendor) -> bool:
    """The last word about it counts, of whichever name.

    iommu_setup() in arch/x86/kernel/pci-dma.c, which an ARM does not have, and virtio-iommu may be an ARM's;
    iommu_set_def_domain_type() in drivers/iommu/iommu.c.
    """
    state = boot.passes_by_default
    for name, value in map(name_and_value, boot.cmdline.of_kernel.arguments):
        if name == "iommu" and vendor not in PASSTHROUGH:
            found = [part for part in _parts(name, value or "") if part.startswith(("pt", "nopt"))]
            state = found[-1].startswith("pt") if found else state
        elif name == "iommu.passthrough":
            told = parse_boolean(value or "")
            state = state if told is None else told
    return state


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
    raise HostError(f"This host has {now}: {why}. No VFIO driver can take a device.", _advice(iommu, boots))


def _advice(iommu: Iommu, boots: t.Sequence[BootArguments]) -> str:
    if boots and all(_kept_from(iommu, boot) for boot in boots):
        if boots[0].missing_option is not None:
            return f"Boot a kernel with {boots[0].missing_option}."
        return "Give devices to Xen's guests with its own xen-pciback (`xl pci-assignable-add`), or boot the kernel without Xen."
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
    """The word that switches the IOMMU on or off, if there is one."""
    off = switched_off(cmdline, vendor)
    if off is not None or vendor != "intel":
        return off
    return ON if _words(cmdline, "intel_iommu", "on") else None


def switched_off(cmdline: Cmdline, vendor: str) -> str | None:
    """The word that switches the IOMMU off, if there is one; of Intel's own the last counts, what the others say is not taken back.

    As iommu_setup(), intel_iommu_setup() and parse_amd_iommu_options().
    """
    if vendor in ("intel", "amd", "other") and _words(cmdline, "iommu", "off"):
        return "iommu=off"
    if vendor == "amd" and _words(cmdline, "amd_iommu", "off"):
        return "amd_iommu=off"
    return "intel_iommu=off" if vendor == "intel" and _words(cmdline, "intel_iommu", "on", "off")[-1:] == ["off"] else None


def _without_acpi(cmdline: Cmdline) -> bool:
    """parse_acpi() in arch/x86/kernel/acpi/boot.c."""
    return [value for value in cmdline.of_kernel.values("acpi") if value in ("off", "force")][-1:] == ["off"]


def _words(cmdline: Cmdline, name: str, *wanted: str) -> list[str]:
    """Which of these the values have, in order; the kernel compares only so many characters as each has."""
    parts = (part for value in cmdline.of_kernel.values(name) for part in _parts(name, value))
    return [word for part in parts for word in wanted if part.startswith(word)]


def _parts(name: str, value: str) -> t.Iterator[str]:
    """The parts of a value that are read: iommu_setup() returns at `usedac`."""
    for part in value.split(","):
        if name == "iommu" and part.startswith("usedac"):
            return
        yield part

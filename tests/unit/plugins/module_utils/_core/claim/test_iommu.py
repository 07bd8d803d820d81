# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the next boot has an IOMMU, which arguments it lacks, and what a person is told where a claim cannot be met."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.iommu import (
    BootArguments,
    after,
    needed_arguments,
    refuse_without_iommu,
    switched_off,
    switched_on,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.iommu import Iommu

FIELDS: dict[str, t.Any] = {"now": False, "described": True, "unsafe": False}


def machine(vendor: str = "intel", **more: t.Any) -> Iommu:
    """Without an IOMMU now, which its firmware describes."""
    return Iommu(**{"vendor": vendor, **FIELDS, **more})


def boot(words: str = "", **more: t.Any) -> BootArguments:
    """A kernel that is not the running one and does not switch an Intel IOMMU on by itself."""
    fields: dict[str, t.Any] = {"is_default": False, **more}
    return BootArguments(Cmdline.parse(words), "/etc/default/grub", **fields)


GRUB = "/etc/default/grub"
LATER: list[tuple[Iommu, BootArguments, str | None]] = [
    (machine(), boot("quiet intel_iommu=on"), None),
    (machine(), boot("intel_iommu=sm_on,on"), None),
    (machine(), boot("intel_iommu=off intel_iommu=on"), None),
    (machine(), boot("intel_iommu=on intel_iommu=off"), "/etc/default/grub gives the kernel intel_iommu=off"),
    (machine(now=True), boot("intel_iommu=off"), "/etc/default/grub gives the kernel intel_iommu=off"),
    (machine(now=True), boot("intel_iommu=off", is_running=True), None),
    (machine("amd", now=True), boot("iommu=off", is_running=True), "/etc/default/grub gives the kernel iommu=off"),
    (machine(), boot("intel_iommu=on iommu=off"), "/etc/default/grub gives the kernel iommu=off"),
    (machine(), boot(), "the kernel does not switch it on by itself, and /etc/default/grub does not give it intel_iommu=on"),
    (
        machine(),
        boot(is_default=None),
        "the kernel may not switch it on by itself, and /etc/default/grub does not give it intel_iommu=on",
    ),
    (machine(), boot(is_default=True), None),
    (machine(described=False), boot("intel_iommu=on"), "the firmware describes none"),
    (machine(described=None), boot("intel_iommu=on"), None),
    (machine(described=None), boot(is_default=True), "whether the firmware describes one is not shown"),
    (machine(now=True), boot(), None),
    (
        machine(now=True),
        boot(running_is_switched_on=True),
        "the kernel does not switch it on by itself, and /etc/default/grub does not give it intel_iommu=on",
    ),
    (machine(now=True), boot(running_is_switched_on=True, is_running=True), None),
    (machine(), boot("intel_iommu=on", is_running=True), "the running kernel has the same arguments, and none"),
    (machine(), boot("intel-iommu=on"), None),
    (machine(), boot('intel_iommu="on"'), None),
    (machine(), boot("intel_iommu=on;"), None),
    (machine(), boot("intel_iommu=on intel_iommu=igfx_off"), None),
    (
        machine(),
        boot("intel_iommu=igfx_off,sm_on"),
        f"the kernel does not switch it on by itself, and {GRUB} does not give it intel_iommu=on",
    ),
    (machine(), boot("-- intel_iommu=on"), f"the kernel does not switch it on by itself, and {GRUB} does not give it intel_iommu=on"),
    (machine(), boot("Intel_iommu=on"), f"the kernel does not switch it on by itself, and {GRUB} does not give it intel_iommu=on"),
    (machine(), boot("intel_iommu=on iommu=offline"), f"{GRUB} gives the kernel iommu=off"),
    (machine(), boot("intel_iommu=on acpi=off"), f"{GRUB} gives the kernel acpi=off, with which it does not read the firmware's tables"),
    (machine(), boot("intel_iommu=on acpi=off acpi=force"), None),
    (machine("amd"), boot("acpi=strict acpi=off"), f"{GRUB} gives the kernel acpi=off, with which it does not read the firmware's tables"),
    (machine("arm"), boot("acpi=off"), None),
    (machine("amd", now=True), boot("acpi=off", is_running=True), None),
    (machine("amd"), boot("amd_iommu=force_enable,off"), f"{GRUB} gives the kernel amd_iommu=off"),
    (machine("amd"), boot(), None),
    # The kernel reads nothing behind that word, and takes back no `off` of another.
    (machine("amd"), boot("iommu=usedac,off"), None),
    (machine("amd"), boot("iommu=off,usedac"), f"{GRUB} gives the kernel iommu=off"),
    (machine("amd"), boot("iommu=off iommu=force,noforce"), f"{GRUB} gives the kernel iommu=off"),
    (machine("amd"), boot("amd_iommu=off amd_iommu=on"), f"{GRUB} gives the kernel amd_iommu=off"),
    (machine(), boot("intel_iommu=,on"), None),
    (machine("virtio"), boot(), None),
    (machine("virtio"), boot("intel_iommu=off iommu=off"), None),
    (machine("virtio"), boot("amd_iommu=off"), None),
    (machine("amd"), boot("amd_iommu=pgtbl_v2,off"), "/etc/default/grub gives the kernel amd_iommu=off"),
    (machine("amd"), boot("intel_iommu=off"), None),
    (machine("amd", described=None), boot("intel_iommu=on"), "whether the firmware describes one is not shown"),
    (machine("other"), boot("iommu=off"), "/etc/default/grub gives the kernel iommu=off"),
    (machine("arm"), boot("iommu=off"), None),
    (machine(now=True), boot(missing_option="CONFIG_INTEL_IOMMU"), "the kernel is built without CONFIG_INTEL_IOMMU"),
    (machine(now=True), boot(missing_option="CONFIG_INTEL_IOMMU", is_running=True), None),
    (machine(now=True), boot(hypervisor="Xen"), "/etc/default/grub is that of a kernel under Xen, which keeps the IOMMU to itself"),
    (
        machine(of_xen=True),
        boot("intel_iommu=on", is_running=True),
        "/etc/default/grub is that of a kernel under Xen, which keeps the IOMMU to itself",
    ),
    (machine(of_xen=True), boot("intel_iommu=on"), None),
]


@pytest.mark.parametrize(("iommu", "arguments", "why"), LATER)
def test_a_boot_has_an_iommu_unless_there_is_a_reason_against_it(iommu: Iommu, arguments: BootArguments, why: str | None) -> None:
    found = after(iommu, arguments)
    assert found[0] is (why is None)
    assert why is None or found[1] == why


@pytest.mark.parametrize(
    ("iommu", "boots", "passthrough", "needed"),
    [
        (machine(), [boot()], False, ["intel_iommu=on"]),
        (machine(), [boot("intel_iommu=on"), boot()], False, ["intel_iommu=on"]),
        (machine(), [boot("intel_iommu=on")], False, []),
        # What is switched off, a kernel that cannot have one, and one that has it by itself: nothing is added.
        (machine(), [boot("intel_iommu=off")], False, []),
        (machine(), [boot(missing_option="CONFIG_INTEL_IOMMU")], False, []),
        (machine(), [boot(is_default=True)], False, []),
        (machine(now=True), [boot()], False, []),
        (machine(described=False), [boot()], False, []),
        (machine("amd"), [boot()], False, []),
        (machine("virtio"), [boot()], False, []),
        # The processor may be an ARM or not.
        (machine("virtio"), [boot("iommu=pt")], True, ["iommu.passthrough=1"]),
        (machine("virtio"), [boot("iommu.passthrough=1")], True, []),
        (machine("amd"), [boot()], True, ["iommu=pt"]),
        (machine("amd"), [boot("iommu=usedac,pt")], True, ["iommu=pt"]),
        (machine("amd"), [boot("iommu=pt,usedac,nopt")], True, []),
        # No kernel for an ARM reads that word.
        (machine("arm"), [boot("iommu=pt")], True, ["iommu.passthrough=1"]),
        (machine("arm"), [boot("iommu.passthrough=1")], True, []),
        (machine("arm"), [boot()], True, ["iommu.passthrough=1"]),
        (machine(), [boot("iommu=pt"), boot()], True, ["intel_iommu=on", "iommu=pt"]),
        # Of two the last counts, and the other word over both.
        (machine("amd"), [boot("iommu=pt iommu=nopt")], True, ["iommu=pt"]),
        (machine("amd"), [boot("iommu=soft,nopt,pt")], True, []),
        (machine("amd"), [boot("iommu=pt iommu.passthrough=0")], True, ["iommu=pt"]),
        (machine("amd"), [boot("iommu.passthrough=0 iommu.passthrough=y")], True, []),
        # Both are read in order.
        (machine("amd"), [boot("iommu.passthrough=0 iommu=pt")], True, []),
        (machine("amd"), [boot("iommu=nopt iommu.passthrough=on")], True, []),
        (machine("amd"), [boot("iommu.passthrough=1 iommu=merge,nopt")], True, ["iommu=pt"]),
        (machine("amd"), [boot("iommu=pt,soft iommu.passthrough")], True, []),
        (machine("amd"), [boot("iommu.passthrough=2")], True, ["iommu=pt"]),
        # A kernel may do so by itself.
        (machine("amd"), [boot(passes_by_default=True)], True, []),
        (machine("amd"), [boot("iommu=nopt", passes_by_default=True)], True, ["iommu=pt"]),
        (machine("arm"), [boot("iommu=nopt", passes_by_default=True)], True, []),
        (machine("amd"), [boot("iommu.passthrough=0", passes_by_default=True)], True, ["iommu=pt"]),
    ],
)
def test_only_the_arguments_that_are_lacking_are_needed(
    iommu: Iommu, boots: t.Sequence[BootArguments], passthrough: bool, needed: list[str]
) -> None:
    assert list(needed_arguments(iommu, boots, passthrough)) == needed


@pytest.mark.parametrize(
    ("words", "is_default", "on"),
    [("", False, False), ("", None, False), ("", True, True), ("intel_iommu=on", False, True), ("intel_iommu=off", False, False)],
)
def test_an_intel_iommu_is_on_by_a_word_or_by_the_kernel_itself(words: str, is_default: bool | None, on: bool) -> None:
    assert switched_on(Cmdline.parse(words), is_default) is on


def test_what_is_behind_the_kernels_words_is_not_the_kernels() -> None:
    assert switched_off(Cmdline.parse("quiet -- iommu=off"), "amd") is None


ADD = "Add intel_iommu=on to the kernel's command line (the module iommu does that), remove any iommu=off, and reboot."
VIRTUAL = "In a virtual machine, give it an IOMMU."
REFUSED: list[tuple[Iommu, list[BootArguments], bool, str, str]] = [
    (
        machine(),
        [boot("intel_iommu=on")],
        True,
        "This host has no IOMMU yet, so no VFIO driver can take a device; it will have one after the next boot.",
        "Reboot first, or leave the binding to the boot policy.",
    ),
    (
        machine(),
        [boot("iommu=off")],
        True,
        (
            "This host has no IOMMU, and none after the next boot: /etc/default/grub gives the kernel iommu=off. "
            "No VFIO driver can take a device."
        ),
        f"{ADD} {VIRTUAL}",
    ),
    (
        machine(now=True),
        [boot("iommu=off")],
        False,
        "This host has no IOMMU after the next boot: /etc/default/grub gives the kernel iommu=off. No VFIO driver can take a device.",
        f"{ADD} {VIRTUAL}",
    ),
    (
        machine(described=False),
        [boot("intel_iommu=on")],
        True,
        "This host has no IOMMU, and none after the next boot: the firmware describes none. No VFIO driver can take a device.",
        f"Switch on VT-d in the firmware's setup, and add{ADD[3:]} {VIRTUAL}",
    ),
    (
        machine("other", described=False),
        [],
        False,
        (
            "This host has no IOMMU, and none after the next boot: which kernel boots next cannot be determined. "
            "No VFIO driver can take a device."
        ),
        f"Switch the IOMMU on in the firmware's setup. {VIRTUAL}",
    ),
    (
        machine("amd", described=False),
        [boot()],
        False,
        "This host has no IOMMU, and none after the next boot: the firmware describes none. No VFIO driver can take a device.",
        (
            "Linux switches an AMD IOMMU on by itself: switch on IOMMU (AMD-Vi) in the firmware's setup, remove amd_iommu=off and "
            f"iommu=off from the kernel's command line (the module iommu does that), and reboot. {VIRTUAL}"
        ),
    ),
    (
        machine("arm", described=False),
        [boot()],
        False,
        "This host has no IOMMU, and none after the next boot: the firmware describes none. No VFIO driver can take a device.",
        (
            "Linux switches an SMMU on by itself: switch it on in the firmware's setup, so that the table IORT or the device tree "
            f"describes it, and use a kernel with CONFIG_ARM_SMMU_V3 or CONFIG_ARM_SMMU. {VIRTUAL}"
        ),
    ),
    (
        machine(),
        [boot(missing_option="CONFIG_INTEL_IOMMU")],
        True,
        (
            "This host has no IOMMU, and none after the next boot: the kernel is built without CONFIG_INTEL_IOMMU. "
            "No VFIO driver can take a device."
        ),
        "Boot a kernel with CONFIG_INTEL_IOMMU.",
    ),
    (
        machine(of_xen=True),
        [boot(is_running=True)],
        True,
        (
            "This host has no IOMMU, and none after the next boot: /etc/default/grub is that of a kernel under Xen, which keeps the IOMMU "
            "to itself. No VFIO driver can take a device."
        ),
        "Give devices to Xen's guests with its own xen-pciback (`xl pci-assignable-add`), or boot the kernel without Xen.",
    ),
    # One of the kernels could have it, so that the advice is for that one.
    (
        machine(),
        [boot(missing_option="CONFIG_INTEL_IOMMU"), boot()],
        True,
        (
            "This host has no IOMMU, and none after the next boot: the kernel is built without CONFIG_INTEL_IOMMU. "
            "No VFIO driver can take a device."
        ),
        f"{ADD} {VIRTUAL}",
    ),
]


@pytest.mark.parametrize(("iommu", "boots", "live", "message", "hint"), REFUSED)
def test_a_claim_that_cannot_be_met_is_refused_with_what_helps(
    iommu: Iommu, boots: t.Sequence[BootArguments], live: bool, message: str, hint: str
) -> None:
    with pytest.raises(HostError) as refused:
        refuse_without_iommu(iommu, boots, live)
    assert (refused.value.msg, refused.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("iommu", "boots", "live"),
    [
        (machine(now=True), [boot("iommu=off")], True),
        (machine(unsafe=True), [boot("iommu=off")], True),
        (machine(unsafe=True), [boot("iommu=off")], False),
        (machine(), [boot("intel_iommu=on")], False),
        # One of the kernels that may boot next has it.
        (machine(), [boot(), boot("intel_iommu=on")], False),
    ],
)
def test_a_claim_that_can_be_met_is_not_refused(iommu: Iommu, boots: t.Sequence[BootArguments], live: bool) -> None:
    refuse_without_iommu(iommu, boots, live)

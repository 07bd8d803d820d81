# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of the command line that are not read as they are meant."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import PolicyFiles
from ansible_collections.vfio.variants.tests.unit.boots import boot, device
from ansible_collections.vfio.variants.tests.unit.judged import judged

TOOLS, DRACUT = PolicyFiles(initramfs_tools=True), PolicyFiles(dracut=True)
KINDS = {"misspelt-word", "word-of-another-initramfs", "stray-id"}


def told(cmdline: str, files: PolicyFiles = TOOLS) -> list[str]:
    found = judged(boot(cmdline=cmdline), devices=[device()], files=files)
    return [finding.sentence for finding in found if finding.kind in KINDS]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("rdblacklist=nouveau", "modprobe.blacklist=nouveau"),
        ("rd.blacklist=nouveau", "modprobe.blacklist=nouveau"),
        ("modprobe_blacklist=nouveau", "modprobe.blacklist=nouveau"),
        ("modprobe-blacklist=nouveau", "modprobe.blacklist=nouveau"),
        ("module.blacklist=nouveau", "module_blacklist=nouveau"),
        ("modules_blacklist=nouveau", "module_blacklist=nouveau"),
        ("rd.modprobe.blacklist=nouveau", "modprobe.blacklist=nouveau"),
        ("vfio.pci.ids=10de:1db1", "vfio-pci.ids=10de:1db1"),
        ("vfio-pci.id=10de:1db1", "vfio-pci.ids=10de:1db1"),
        ("vfio_pci_ids=10de:1db1", "vfio-pci.ids=10de:1db1"),
        ("vfio-pci-ids=10de:1db1", "vfio-pci.ids=10de:1db1"),
        ("vfio.ids=10de:1db1", "vfio-pci.ids=10de:1db1"),
        ("vfiopci.ids=10de:1db1", "vfio-pci.ids=10de:1db1"),
        ("intel.iommu=on", "intel_iommu=on"),
        ("inteliommu=on", "intel_iommu=on"),
        ("rd.driver-pre=vfio-pci", "rd.driver.pre=vfio-pci"),
        ("vfio.variants=off", "vfio_variants=off"),
        ("nouveau.blacklist=1", "modprobe.blacklist=nouveau"),
        ("snd-hda-intel.blacklist=yes", "modprobe.blacklist=snd_hda_intel"),
        ("pci-stub.id=10de:1db1", "pci-stub.ids=10de:1db1"),
        ("vfio-pci.ids:10de:1db1", "vfio-pci.ids=10de:1db1"),
        ("modprobe.blacklist:nouveau", "modprobe.blacklist=nouveau"),
        ("intel_iommu=enable", "intel_iommu=on"),
        ("nomodset", "nomodeset"),
        ("pcie_acs_overide=downstream", "pcie_acs_override=downstream"),
        ("vfio_variant=off", "vfio_variants=off"),
    ],
)
def test_a_word_that_nothing_reads_is_named_with_the_one_that_is_meant(word: str, meant: str) -> None:
    (sentence,) = told(f"root=/dev/sda1 ro quiet {word}", DRACUT)
    assert sentence.startswith("/proc/cmdline: ")
    assert f"`{word}`" in sentence
    assert sentence.endswith(f"Write `{meant}`.")


@pytest.mark.parametrize(
    "words",
    [
        "root=/dev/sda1 ro quiet splash",
        "vfio-pci.ids=10de:1db1 vfio_pci.ids=10de:1db1 vfio-pci.disable_vga=1 vfio_pci.disable_idle_d3=1",
        "modprobe.blacklist=nouveau module_blacklist=nouveau module-blacklist=nouveau initcall_blacklist=a",
        "intel_iommu=on intel-iommu=on amd_iommu=on iommu=pt iommu.strict=0 iommu.passthrough=1",
        "modules_load=vfio modules-load=vfio rd.modules_load=vfio blacklist=nouveau pci-stub.ids=10de:1db1",
        "vfio_variants=off vfio-variants=off",
        "nomodeset nomodule pcie_acs_override=downstream intel_iommu=on,sm_on intel_iommu=off console=ttyS0,115200 nosmt",
        "nouveau.modeset=0 video=efifb:off kvm.ignore_msrs=1 isolcpus=1-3 default_hugepagesz=1G initcall_debug",
    ],
)
def test_words_that_are_read_are_left_alone(words: str) -> None:
    assert told(words) == []


def test_words_for_another_initramfs_are_named() -> None:
    (sentence,) = told("rd.driver.blacklist=nouveau")
    assert sentence.endswith("it has no effect. Write `modprobe.blacklist=nouveau`.")
    (sentence,) = told("rd.driver.pre=vfio-pci")
    assert "/etc/initramfs-tools/modules" in sentence
    (sentence,) = told("blacklist=nouveau", DRACUT)
    assert sentence.endswith("Write `modprobe.blacklist=nouveau`.")
    assert told("rd.driver.pre=vfio-pci rd.driver.blacklist=nouveau", DRACUT) == []


@pytest.mark.parametrize("words", ["vfio-pci.ids=10de:1db1, 10de:10f0", "vfio-pci.ids 10de:1db1"])
def test_an_id_after_a_blank_is_named(words: str) -> None:
    (sentence,) = told(words)
    assert "without a blank." in sentence


@pytest.mark.parametrize("word", ["vfio_variants=no", "vfio_variants", "vfio-variants=OFF", "vfio_variants="])
def test_another_value_of_the_word_that_switches_policies_off_has_no_effect(word: str) -> None:
    (sentence,) = told(f"root=/dev/sda1 {word}")
    assert sentence == f"/proc/cmdline: `{word}` has no effect, as `vfio_variants=off` alone has one. Write that, or remove it."


def test_a_module_after_a_comma_and_a_blank_is_named() -> None:
    (sentence,) = told("modprobe.blacklist=nouveau, e1000e quiet")
    assert sentence.endswith("Write `modprobe.blacklist=nouveau,e1000e`, without a blank.")
    assert told("modprobe.blacklist=nouveau e1000e") == []

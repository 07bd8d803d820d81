# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words about the IOMMU that a host's processor or kernel does not have."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import PolicyFiles, read_policy_files
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.iommu_words import STOCK
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.tests.unit.boots import boot, device
from ansible_collections.vfio.variants.tests.unit.judged import judged
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.iommu import Vendor


def told(cmdline: str, vendor: Vendor = "other", **given: t.Any) -> list[str]:
    found = judged(boot(cmdline=cmdline, **given), devices=[device()], files=PolicyFiles(vendor=vendor))
    return [one.sentence for one in found if one.kind in ("word-for-another-processor", "word-of-a-patch", "isolation-only-claimed")]


@pytest.mark.parametrize(
    ("vendor", "cmdline", "meant"),
    [
        ("amd", "intel_iommu=on iommu=pt", "Remove it: the IOMMU of an AMD processor is on without a word."),
        ("amd", "intel-iommu=on", "Remove it: the IOMMU of an AMD processor is on without a word."),
        ("intel", "amd_iommu=on", "Write `intel_iommu=on`."),
    ],
)
def test_a_word_for_another_maker_s_processor_is_named(vendor: Vendor, cmdline: str, meant: str) -> None:
    (said,) = told(cmdline, vendor)
    assert "which this host does not have: it has no effect" in said
    assert said.endswith(meant)


@pytest.mark.parametrize(
    ("vendor", "cmdline"),
    [
        ("intel", "intel_iommu=on"),
        ("amd", "amd_iommu=on"),
        ("amd", "intel_iommu=on amd_iommu=on"),
        ("other", "intel_iommu=on"),
        ("amd", "intel_iommu=off"),
        ("amd", "iommu=pt"),
    ],
)
def test_a_word_of_one_s_own_and_one_for_both_are_left_alone(vendor: Vendor, cmdline: str) -> None:
    assert told(cmdline, vendor) == []


@pytest.mark.parametrize(
    ("vendor", "advice"), [("intel", "Write `intel_iommu=on`."), ("amd", "Remove it."), ("arm", "Remove it."), ("virtio", "Remove it.")]
)
def test_only_where_intels_iommu_may_be_its_word_is_advised(vendor: Vendor, advice: str) -> None:
    found = judged(boot(cmdline="iommu=on"), devices=[device()], files=PolicyFiles(vendor=vendor))
    assert [one.sentence.endswith(f"so it has no effect. {advice}") for one in found if one.kind == "misspelt-word"] == [True]


def test_the_processor_says_who_has_made_it(tmp_path: Path) -> None:
    host = Tree(tmp_path).file("/proc/cpuinfo", "processor\t: 0\nvendor_id\t: AuthenticAMD\n").host()
    assert read_policy_files(host, (), (), Inventory((), {})).vendor == "amd"


def test_a_kernel_of_a_distribution_without_the_patch_is_named() -> None:
    (said,) = told("pcie_acs_override=downstream,multifunction")
    assert "does not have the patch that reads `pcie_acs_override=downstream,multifunction`" in said
    assert told("pci=nomsi") == []


@pytest.mark.parametrize("release", ["6.8.12-4-pve", "6.12.3-zen1-1-zen", "6.17.7-ba01.fc42.x86_64"])
def test_where_a_kernel_only_claims_isolation_the_danger_is_named(release: str) -> None:
    (said,) = told("quiet pcie_acs_override=downstream", release=release)
    assert "with `pcie_acs_override=downstream` a kernel that has its patch" in said
    assert "a guest can then read and write the memory of devices in other groups" in said


@pytest.mark.parametrize(
    ("release", "is_stock"),
    [
        ("6.12.107+deb13-amd64", True),
        ("6.1.0-50-amd64", True),
        ("6.1.0-50-cloud-amd64", True),
        ("6.8.0-45-generic", True),
        ("6.11.4-301.fc41.x86_64", True),
        ("5.14.0-503.11.1.el9_5.x86_64", True),
        ("6.4.0-150600.23.25-default", True),
        ("5.14.0-427.el9.aarch64", True),
        ("6.18.0-0.rc3.29.fc44.x86_64", True),
        ("6.17.7-ba01.fc42.x86_64", False),
        ("6.12.1-cachyos1.fc41.x86_64", False),
        ("6.9.12-205.fsync.fc40.x86_64", False),
        ("6.8.12-4-pve", False),
        ("6.12.3-zen1-1-zen", False),
        ("6.12.3-2-cachyos", False),
        ("6.12.3", False),
        ("6.12.3-acs-amd64-custom", False),
    ],
)
def test_releases_say_who_has_built_a_kernel(release: str, is_stock: bool) -> None:
    assert (STOCK.fullmatch(release) is not None) is is_stock

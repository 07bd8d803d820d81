# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VFIO drivers that are chosen and will not load, or not take the device."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Assigned, Later, ModuleFacts
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import PolicyFiles
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciDriver
from ansible_collections.vfio.variants.tests.unit.boots import STOCK, boot, device
from ansible_collections.vfio.variants.tests.unit.judged import kinds, sentence
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, V100_VARIANT

VARIANT = "nvlink2gpu_vfio_pci"
WITH_VARIANT = {**STOCK, VARIANT: [V100_VARIANT]}
V100 = device("0000:3b:00.0", driver="nouveau")
NIC = device("0000:02:00.0", "8086:10d3", class_code=0x020000)
RULE = 'KERNEL=="0000:3b:00.0", ATTR{driver_override}="vfio-pci", RUN{builtin}+="kmod load vfio-pci"\n'
REFUSED = {VARIANT: ModuleFacts((PciDriver(VARIANT),), refused="it is not signed, and the kernel is locked down")}


def test_a_variant_that_the_kernel_refuses_stops_libvirts_guests() -> None:
    said = sentence("variant-refused", boot(modules=WITH_VARIANT, facts=REFUSED), devices=[V100, NIC])
    assert said.startswith(
        f"modules.alias of {DEBIAN_13} makes {VARIANT} the best variant for 0000:3b:00.0, but it cannot be loaded: it is not"
    )
    assert "libvirt 10 and newer" in said
    assert "<driver model='vfio-pci'/>" in said


def test_a_refused_variant_for_devices_that_the_host_lacks_and_one_that_loads_are_fine() -> None:
    assert kinds(boot(modules=WITH_VARIANT, facts=REFUSED), devices=[NIC]) == []
    assert kinds(boot(modules=WITH_VARIANT), devices=[V100]) == []


def test_an_alias_whose_modules_file_is_gone_is_told() -> None:
    absent = PolicyFiles(absent=frozenset({(DEBIAN_13, VARIANT)}))
    said = sentence("variant-missing", boot(modules=WITH_VARIANT), devices=[V100], files=absent)
    assert f"modules.alias of {DEBIAN_13} names {VARIANT}" in said
    assert "best variant for 0000:3b:00.0" in said


@pytest.mark.parametrize("policy", [{"rules": RULE}, {"modprobe": "options vfio-pci ids=10de:1db1\n"}])
def test_a_blacklist_of_the_claimed_module_is_told(policy: dict[str, str]) -> None:
    modprobe = policy.get("modprobe", "") + "blacklist vfio-pci\n"
    said = sentence("claimed-blacklisted", boot(modprobe=modprobe, rules=policy.get("rules", "")), devices=[V100])
    assert "`blacklist vfio-pci`, but the policy assigns 0000:3b:00.0 to vfio-pci" in said


def test_module_blacklist_holds_against_everybody() -> None:
    assert kinds(boot(rules=RULE, cmdline="module_blacklist=vfio_pci"), devices=[V100]) == ["claimed-blacklisted"]


def test_a_blacklist_of_a_vfio_module_that_nobody_claims_is_somebodys_choice() -> None:
    assert kinds(boot(modprobe="blacklist vfio_pci"), devices=[V100]) == []


@pytest.mark.parametrize("argument", ["intel_iommu=off", "iommu=off", "intel_iommu=on intel_iommu=off"])
def test_an_iommu_that_is_off_makes_a_claim_for_vfio_void(argument: str) -> None:
    said = sentence("iommu-off", boot(rules=RULE, cmdline=f"ro {argument}"), devices=[V100])
    assert "0000:3b:00.0" in said
    assert "=off" in said


def test_vfio_takes_devices_without_an_iommu_where_it_is_told_to() -> None:
    unsafe = "options vfio enable_unsafe_noiommu_mode={}\n"
    assert kinds(boot(rules=RULE, cmdline="intel_iommu=off", modprobe=unsafe.format("Y")), devices=[V100]).count("iommu-off") == 0
    assert kinds(boot(rules=RULE, cmdline="intel_iommu=off", modprobe=unsafe.format("0")), devices=[V100]).count("iommu-off") == 1


def test_a_claim_that_driverctl_overrules_is_none() -> None:
    later = Later(driverctl={"0000:3b:00.0": Assigned("nouveau", "/etc/driverctl.d/pci-0000:3b:00.0")})
    assert kinds(boot(rules=RULE, later=later, cmdline="intel_iommu=off"), devices=[V100]) == ["driverctl-against-rule"]


def test_a_driver_of_driverctl_s_that_cannot_be_loaded_overrules_nothing() -> None:
    later = Later(driverctl={"0000:3b:00.0": Assigned("no_such_driver", "/etc/driverctl.d/pci-0000:3b:00.0")})
    loading = RULE.rstrip("\n") + ', RUN{builtin}+="kmod load vfio-pci"\n'
    found = kinds(boot(rules=loading, later=later, cmdline="intel_iommu=off"), devices=[V100])
    assert "iommu-off" in found


def test_an_iommu_that_is_on_or_another_makers_or_claimed_by_nobody_is_fine() -> None:
    amd = device("0000:00:00.0", "1022:1450", class_code=0x060000)
    assert kinds(boot(rules=RULE, cmdline="intel_iommu=on iommu=pt"), devices=[V100]) == []
    assert kinds(boot(rules=RULE, cmdline="intel_iommu=off"), devices=[V100, amd]) == []
    assert kinds(boot(cmdline="intel_iommu=off"), devices=[V100]) == []


def test_vfio_pci_refuses_devices_of_its_denylist() -> None:
    qat = device("0000:3b:00.0", "8086:37c8", class_code=0x0B4000)
    assert "refuses that device" in sentence("denied-device", boot(rules=RULE), devices=[qat])
    assert kinds(boot(rules=RULE, modprobe="options vfio-pci disable_denylist=1"), devices=[qat]) == []
    assert kinds(boot(rules=RULE), devices=[V100]) == []

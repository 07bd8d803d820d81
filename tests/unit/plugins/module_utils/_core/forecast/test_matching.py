# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which driver the kernel lets have a device, in the words of its sources."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast import matching
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciDriver, PciId
from ansible_collections.vfio.variants.tests.unit.boots import boot, device

CARD = device()
NATIVE = PciDriver("nouveau", (PciId(0x10DE),))
VFIO = PciDriver("vfio-pci", (PciId(override_only=True),))
DYNAMIC, OF_ANOTHER = (PciId(0x10DE, 0x1DB1),), (PciId(0x8086, 0x10D3),)


@pytest.mark.parametrize(
    ("driver", "dynamic", "override", "matches"),
    [
        (NATIVE, (), None, True),
        (NATIVE, (), "nouveau", True),
        (NATIVE, (), "vfio-pci", False),
        # strcmp(): neither case nor dashes are alike.
        (NATIVE, (), "Nouveau", False),
        (VFIO, (), "vfio_pci", False),
        (VFIO, (), None, False),
        (VFIO, (), "vfio-pci", True),
        (VFIO, DYNAMIC, None, True),
        (VFIO, OF_ANOTHER, None, False),
        (VFIO, DYNAMIC, "nouveau", False),
        (PciDriver("empty"), (), "empty", True),
        (PciDriver("other", OF_ANOTHER), (), None, False),
    ],
)
def test_an_override_names_the_only_driver_and_else_ids_decide(
    driver: PciDriver, dynamic: tuple[PciId, ...], override: str | None, matches: bool
) -> None:
    """pci_match_device() in drivers/pci/pci-driver.c."""
    assert matching.matches(driver, dynamic, CARD, override) is matches


@pytest.mark.parametrize(
    ("is_virtual", "autoprobe", "override", "can"),
    [
        (False, True, None, True),
        (False, False, None, True),
        (True, True, None, True),
        (True, False, None, False),
        (True, False, "vfio-pci", True),
        (True, False, "", True),
    ],
)
def test_a_virtual_function_is_probed_with_autoprobe_or_an_override(
    is_virtual: bool, autoprobe: bool, override: str | None, can: bool
) -> None:
    """pci_device_can_probe() in drivers/pci/pci-driver.c."""
    assert matching.can_probe(is_virtual, autoprobe, override) is can


# vfio_pci_dev_in_denylist() in drivers/vfio/pci/vfio_pci.c, the numbers from include/linux/pci_ids.h.
@pytest.mark.parametrize("number", ["19e2", "19e3", "37c8", "37c9", "0435", "0443", "0b25", "0cfe"])
def test_vfio_pci_refuses_accelerators_of_intel_s_unless_told_otherwise(number: str) -> None:
    card = device(id=f"8086:{number}", class_code=0x0B4000)
    assert matching.vfio_refusal(VFIO, card, None, False) is not None
    assert matching.vfio_refusal(VFIO, card, None, True) is None
    assert matching.vfio_refusal(PciDriver("qat_vfio_pci"), card, None, False) is None
    assert matching.vfio_refusal(VFIO, device(id=f"10de:{number}"), None, False) is None


@pytest.mark.parametrize(
    ("class_code", "refused"),
    [(0x060400, True), (0x060700, True), (0x060900, True), (0x060401, True), (0x060100, False), (0x068000, False)],
)
def test_no_vfio_driver_takes_a_device_with_a_bridge_s_header(class_code: int, refused: bool) -> None:
    """vfio_pci_core_register_device() takes header type 0 only."""
    for driver in (VFIO, PciDriver("other-vfio")):
        assert (matching.vfio_refusal(driver, device(class_code=class_code), None, True) is not None) is refused


def test_without_an_iommu_that_is_why() -> None:
    assert matching.vfio_refusal(VFIO, device(class_code=0x060400), "no IOMMU", True) == "no IOMMU"


SYNCHRONOUS, ASYNCHRONOUS = PciDriver("s"), PciDriver("a", asynchronous=True)


@pytest.mark.parametrize(
    ("release", "orders"),
    [
        ("5.10.0", ["as"]),
        ("6.1.0-50-amd64", ["as"]),
        ("6.16.9", ["as"]),
        ("6.17.0", ["as", "sa"]),
        ("7.1.4-rc1", ["as", "sa"]),
        ("7.2.0", ["sa"]),
        ("7.10", ["sa"]),
        ("10.0-x", ["sa"]),
        ("custom", ["as"]),
    ],
)
def test_a_device_that_comes_later_is_offered_in_the_order_of_its_kernel(release: str, orders: list[str]) -> None:
    found = matching.attach_order((ASYNCHRONOUS, SYNCHRONOUS), release)
    assert ["".join(driver.name for driver in order) for order in found] == orders
    assert matching.attach_order((SYNCHRONOUS, ASYNCHRONOUS), release) == ((SYNCHRONOUS, ASYNCHRONOUS),)


INTEL, AMD, OLD_AMD, OTHER = (
    device(f"0000:0{n}:00.0", f"{vendor}:1", class_code=0x060000) for n, vendor in enumerate(("8086", "1022", "1002", "1234"))
)


@pytest.mark.parametrize(
    ("bridges", "cmdline", "is_off"),
    [
        ((), "", False),
        ((), "iommu=off", True),
        ((INTEL,), "iommu=off", True),
        ((OTHER,), "iommu=off", True),
        ((), "iommu=pt", False),
        ((), "iommu=pt,off", True),
        ((), "intel_iommu=off", True),
        ((), "amd_iommu=off", True),
        ((INTEL,), "intel_iommu=off", True),
        ((INTEL,), "amd_iommu=off", False),
        ((AMD,), "amd_iommu=off", True),
        ((OLD_AMD,), "amd_iommu=off", True),
        ((AMD,), "intel_iommu=off", False),
        ((INTEL, AMD), "intel_iommu=off", True),
        ((OTHER,), "intel_iommu=off amd_iommu=off", False),
        # drivers/iommu/intel/iommu.c: of "on" and "off" the last one counts.
        ((INTEL,), "intel_iommu=off intel_iommu=on", False),
        ((INTEL,), "intel_iommu=on intel_iommu=off", True),
        ((INTEL,), "intel_iommu=off,sm_on", True),
        ((INTEL,), "intel_iommu=on,sm_off", False),
        ((INTEL,), "xintel_iommu=off", False),
        # What iommu_setup() and parse_amd_iommu_options() have switched off nothing switches on again.
        ((INTEL,), "iommu=off iommu=on", True),
        ((AMD,), "iommu=off,force", True),
        ((AMD,), "amd_iommu=off amd_iommu=on", True),
        ((AMD,), "amd_iommu=off,force_enable", True),
        ((INTEL,), "-- iommu=off intel_iommu=off", False),
    ],
)
def test_the_command_line_switches_the_iommu_of_the_machine_off(bridges: tuple[Device, ...], cmdline: str, is_off: bool) -> None:
    why = matching.why_off((CARD, *bridges), boot(cmdline=cmdline))
    assert (why is not None) is is_off
    if why is not None:
        assert "/proc/cmdline has" in why


def test_a_bridge_of_another_kind_does_not_tell_who_made_the_machine() -> None:
    port = device("0000:00:01.0", "8086:3420", class_code=0x060400)
    assert matching.why_off((port,), boot(cmdline="amd_iommu=off")) is not None


@pytest.mark.parametrize(("has_iommu", "is_off"), [(None, False), (True, False), (False, True)])
def test_where_no_device_is_in_a_group_there_is_no_iommu(has_iommu: bool | None, is_off: bool) -> None:
    found = dataclasses.replace(boot(), has_iommu=has_iommu)
    assert (matching.why_off((CARD,), found) is not None) is is_off

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers that the core has from Linux, compared with the sources of Linux themselves."""

from __future__ import annotations

import re

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import in_charge
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast import matching
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import declines, efi_variables, parameters, refusals
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.declines import Match, refusal
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import SourceLine
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import Parameter
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.refusals import ModuleSettings
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciDriver, PciId
from ansible_collections.vfio.variants.tests.unit.boots import device
from ansible_collections.vfio.variants.tests.unit.sources import LINUX

AMDGPU = "drivers/gpu/drm/amd/amdgpu/amdgpu_drv.c"
RADEON = "include/drm/drm_pciids.h"
NUMBERS = "include/linux/pci_ids.h"
NOUVEAU = "drivers/gpu/drm/nouveau/nvkm/engine/device/base.c"
BY_CLASS = PciDriver("amdgpu", (PciId(0x1002, class_code=0x030000, class_mask=0xFFFFFF),))
SOUTHERN, SEA = ("TAHITI", "PITCAIRN", "VERDE", "OLAND", "HAINAN"), ("BONAIRE", "KAVERI", "KABINI", "HAWAII", "MULLINS")


def family(names: tuple[str, ...]) -> set[int]:
    rows = re.findall(r"\{0x1002, 0x([0-9A-Fa-f]{4}),[^}]*CHIP_(\w+)", LINUX.text(RADEON))
    return {int(number, 16) for number, chip in rows if chip in names}


def answer(module: str, driver: PciDriver, id: str, class_code: int = 0x030000, release: str = "6.12.1", *natives: str) -> bool | None:  # noqa: A002
    """Whether the driver takes the device; None where that cannot be determined."""
    found = refusal(ModuleSettings(module, release, {}), Match(device(id=id, class_code=class_code), driver, frozenset(natives)))
    return True if found is None else None if not found.certain else False


def test_amdgpu_leaves_every_gpu_that_linux_lists_for_that() -> None:
    listed = LINUX.numbers(AMDGPU, "amdgpu_unsupported_pciidlist[]", "};")
    assert len(listed) > 600
    assert [hex(one) for one in sorted(listed) if answer("amdgpu", BY_CLASS, f"1002:{one:04x}") is not False] == []


def test_amdgpu_takes_every_gpu_of_its_table_however_it_matches() -> None:
    rows = LINUX.text(AMDGPU, "static const struct pci_device_id pciidlist[]", "};")
    own = {int(one, 16) for one in re.findall(r"\{0x1002, 0x([0-9A-Fa-f]{4})", rows)}
    assert len(own) > 200
    assert [hex(one) for one in sorted(own) if answer("amdgpu", BY_CLASS, f"1002:{one:04x}") is False] == []
    assert answer("amdgpu", BY_CLASS, "1002:7550") is True


def test_an_old_gpu_with_an_entry_of_its_own_is_taken() -> None:
    assert answer("amdgpu", PciDriver("amdgpu", (PciId(0x1002, 0x9440),)), "1002:9440") is True


@pytest.mark.parametrize(("names", "known"), [(SOUTHERN, declines.SI), (SEA, declines.CIK)])
def test_both_families_of_islands_have_the_numbers_of_radeon_s_table(names: tuple[str, ...], known: frozenset[int]) -> None:
    others = family((*SOUTHERN, *SEA)) - family(names)
    assert family(names) - known == set()
    assert others & known == set()


def test_nouveau_knows_neither_ga100_nor_hopper() -> None:
    """A100 and H100: their chips are 0x170 and 0x180 (`case` in nvkm_device_ctor())."""
    chips = {int(one, 16) for one in re.findall(r"^\tcase (0x1[0-9a-f]{2}): device->chip", LINUX.text(NOUVEAU), re.MULTILINE)}
    assert {0x140, 0x164, 0x172, 0x192} <= chips
    assert {0x170, 0x180} & chips == set()
    driver = PciDriver("nouveau", (PciId(0x10DE, class_code=0x030000, class_mask=0xFF0000),))
    cards = ("10de:20b0", "10de:20f1", "10de:2330", "10de:2342")
    assert [answer("nouveau", driver, card, 0x030200) for card in cards] == [False] * 4
    assert [answer("nouveau", driver, card, 0x030200, "6.16.1") for card in cards] == [None] * 4
    assert [answer("nouveau", driver, card, 0x030200) for card in ("10de:1db1", "10de:1eb8", "10de:2236", "10de:2684")] == [True] * 4
    assert answer("nouveau", driver, "10de:2684", 0x030000, "6.1.0-50") is None


def test_nouveau_can_be_told_to_take_chips_that_it_does_not_support() -> None:
    assert "NvEnableUnsupportedChipsets" in LINUX.text(NOUVEAU)
    given = Parameter("config", "NvEnableUnsupportedChipsets=1", "config=NvEnableUnsupportedChipsets=1", SourceLine("a.conf", 1))
    match = Match(device(id="10de:20b0", class_code=0x030200), PciDriver("nouveau"), frozenset())
    found = refusal(ModuleSettings("nouveau", "6.12.1", {"config": given}), match)
    assert found is not None
    assert not found.certain


def test_virtio_takes_its_own_numbers_and_leaves_the_vendor_s_others() -> None:
    first, last = sorted(LINUX.numbers("drivers/virtio/virtio_pci_modern_dev.c", "We only own devices", "return -ENODEV"))
    assert (declines.VIRTIO_NUMBERS[0], declines.VIRTIO_NUMBERS[-1]) == (first, last)
    driver = PciDriver("virtio-pci", (PciId(0x1AF4),))
    found = [answer("virtio_pci", driver, f"1af4:{one:04x}") for one in (first - 1, first, last, last + 1, 0x1110)]
    assert found == [False, True, True, False, False]


def test_ata_generic_leaves_intel_s_controllers_to_the_driver_that_knows_them() -> None:
    driver = PciDriver("ata_generic", (PciId(0x8086, class_code=0x010100, class_mask=0xFFFF00),))
    assert answer("ata_generic", driver, "8086:7010", 0x010180, "6.12.1", "ata_generic", "ata_piix") is False
    assert answer("ata_generic", driver, "8086:1c3c", 0x010185, "6.12.1", "ata_generic") is None


def test_vfio_pci_s_list_of_devices_and_the_length_of_its_ids() -> None:
    source = "drivers/vfio/pci/vfio_pci.c"
    names = re.findall(r"case (PCI_DEVICE_ID_\w+)", LINUX.text(source, "vfio_pci_dev_in_denylist", "default:"))
    assert {(0x8086, LINUX.macro(NUMBERS, name)) for name in names} == matching.DENYLIST
    assert f"char ids[{parameters.LONGEST_IDS + 1}]" in LINUX.text(source)


def test_i915_s_devices_on_request_are_those_of_linux() -> None:
    table, chips = "include/drm/intel/i915_pciids.h", LINUX.text("drivers/gpu/drm/i915/i915_pci.c")
    on_request = re.findall(r"(\w+)_info = \{(?:(?!\n\};)[\s\S])*?\.require_force_probe = 1", chips)
    assert sorted(on_request) == ["ats_m", "dg1"]
    found = LINUX.numbers(table, "INTEL_DG1_IDS(", "/*") | LINUX.numbers(table, "INTEL_ATS_M150_IDS(", "/*")
    assert found == declines.I915_ON_REQUEST


def test_adapters_of_sas_2_are_those_of_linux() -> None:
    source = "drivers/scsi/mpt3sas/mpi/mpi2_cnfg.h"
    rows = re.findall(r"^#define (MPI2_MFGPAGE_DEVID_\w+)\s+\(0x([0-9A-F]{4})\)", LINUX.text(source), re.MULTILINE)
    assert {int(number, 16) for _name, number in rows} >= declines.SAS2
    assert {int(number, 16) for name, number in rows if "_SAS2" in name} <= declines.SAS2


def test_numbers_of_vendors_classes_and_sound_are_those_of_linux() -> None:
    vendors = {"NVIDIA": "NVIDIA", "AMD": "ATI", "INTEL": "INTEL", "MARVELL": "MARVELL", "LSI": "LSI_LOGIC", "RENESAS": "RENESAS"}
    for ours, name in {**vendors, "REALTEK": "REALTEK"}.items():
        assert getattr(declines, ours) == LINUX.macro(NUMBERS, f"PCI_VENDOR_ID_{name}")
    for number, name in ((declines.VGA, "DISPLAY_VGA"), (declines.OTHER_DISPLAY, "DISPLAY_OTHER"), (declines.IDE, "STORAGE_IDE")):
        assert number == LINUX.macro(NUMBERS, f"PCI_CLASS_{name}")
    sound = ("BDW", "HSW_0", "HSW_2", "HSW_3", "BYT", "BSW")
    assert {LINUX.macro(NUMBERS, f"PCI_DEVICE_ID_INTEL_HDA_{name}") for name in sound} == declines.HDMI_ONLY
    bridges = {LINUX.macro(NUMBERS, f"PCI_CLASS_BRIDGE_{name}") for name in ("PCI", "CARDBUS")}
    assert bridges < set(matching.BRIDGE_HEADERS)


def test_lengths_of_nvme_s_queues_are_those_of_linux() -> None:
    source = "drivers/nvme/host/pci.c"
    found = [LINUX.macro(source, f"NVME_PCI_{which}_QUEUE_SIZE") for which in ("MIN", "MAX")]
    assert found == [refusals.SMALLEST_QUEUE, refusals.LARGEST_QUEUE]


def test_loaders_have_the_numbers_that_linux_assigns() -> None:
    part = LINUX.text("Documentation/arch/x86/boot.rst", "Assigned boot loader ids", "Please contact")
    names = {int(number, 16): name.lower() for number, name in re.findall(r"^\t([0-9A-F]{1,2})  (\S+)", part, re.MULTILINE)}
    said = {3: "syslinux", 4: "etherboot/gpxe/ipxe", 7: "grub", 8: "u-boot", 0xB: "qemu"}
    assert {number: names[number] for number in in_charge.STARTERS} == said


def test_vendors_of_efi_variables_are_those_of_linux() -> None:
    for ours, name in ((efi_variables.GLOBAL, "EFI_GLOBAL_VARIABLE_GUID"), (efi_variables.LOADER, "LINUX_EFI_LOADER_ENTRY_GUID")):
        line = LINUX.text("include/linux/efi.h", f"#define {name}", "\n").partition("EFI_GUID(")[2]
        digits = "".join(re.findall(r"0x([0-9a-f]+)", line))
        assert digits == ours.replace("-", "")

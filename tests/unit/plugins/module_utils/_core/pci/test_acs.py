# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who shares an IOMMU group, and which bridge does not keep them apart, is said."""

from __future__ import annotations

import struct
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.pci.acs import keeps_apart
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

PORT, GPU, AUDIO, NIC = "0000:00:01.0", "0000:01:00.0", "0000:01:00.1", "0000:02:00.0"


def config(capable: int | None = None, control: int = 0) -> bytes:
    """A configuration space with one extended capability before that of ACS."""
    space = bytearray(4096)
    following = 0 if capable is None else 0x140
    struct.pack_into("<I", space, 0x100, 0x0001 | 2 << 16 | following << 20)
    if capable is not None:
        struct.pack_into("<IHH", space, 0x140, 0x000D | 1 << 16, capable, control)
    return bytes(space)


@pytest.mark.parametrize(
    ("space", "apart"),
    [
        (config(0x1F, 0x1D), True),
        (config(0x1F, 0x05), False),
        (config(0x05, 0x05), True),
        (config(), False),
        (config(0x1F, 0)[:64], None),
        (b"", None),
        (b"\0" * 4096, False),
        (b"\xff" * 4096, False),
        (struct.pack("<I", 0x0001 | 0x100 << 20).rjust(0x104, b"\0").ljust(4096, b"\0"), False),
    ],
)
def test_acs_is_read_as_the_kernel_reads_it(space: bytes, apart: bool | None) -> None:
    assert keeps_apart(space) is apart


def host_with(root: Path, space: bytes) -> Tree:
    tree = Tree(root).pci(PORT, "8086:3408", class_code=0x060400, group=1)
    tree.pci(GPU, below=PORT, group=1, driver="nouveau").pci(AUDIO, "10de:10f0", class_code=0x040300, below=PORT, group=1)
    tree.pci(NIC, "8086:10d3", class_code=0x020000, below=PORT, group=1, driver="e1000e").pci("0000:03:00.0", group=3)
    return tree.file(f"/sys/devices/pci0000:00/{PORT}/config", space)


def because(tree: Tree, address: str) -> str | None:
    found = device_info(tree.host(), forecast=False)["devices"]
    return t.cast("str | None", next(device["group_because"] for device in found if device["address"] == address))


def test_the_bridge_and_the_others_are_named(tmp_path: Path) -> None:
    said = because(host_with(tmp_path, config()), GPU)
    assert said is not None
    assert said.startswith(f"IOMMU group 1 also has {AUDIO} (10de:10f0, no driver), {NIC} (8086:10d3, e1000e)")
    assert f"{PORT} has no access control services (ACS) switched on" in said
    assert "0000:01:00 does not keep its functions apart" in said


@pytest.mark.parametrize("space", [config(0x1F, 0x1D), b""])
def test_a_bridge_that_keeps_them_apart_or_is_not_known_is_not_blamed(tmp_path: Path, space: bytes) -> None:
    said = because(host_with(tmp_path, space), NIC)
    assert said is not None
    assert "no access control" not in said
    assert GPU in said


@pytest.mark.parametrize("word", ["disable_acs_redir=pci:8086:1901", "config_acs=00000@pci:0:0"])
def test_services_that_a_person_has_switched_off_are_named(tmp_path: Path, word: str) -> None:
    said = because(host_with(tmp_path, b"").cmdline(f"ro pci=nomsi,{word},realloc"), GPU)
    assert said is not None
    assert f"`pci={word}` tells the kernel to switch off access control services (ACS)" in said


def test_a_device_that_is_alone_with_its_bridges_needs_no_word(tmp_path: Path) -> None:
    assert because(host_with(tmp_path, config()), "0000:03:00.0") is None


@pytest.mark.parametrize(
    ("interrupts", "remapped"),
    [
        ("  9: 0 IR-IO-APIC 9-fasteoi acpi\n 24: 0 IR-PCI-MSI-0000:00:01.0\n", True),
        ("  9: 0 IO-APIC 9-fasteoi acpi\n 24: 0 PCI-MSI 1 edge\n", False),
        (" 24: 0 DMAR-MSI 0-edge dmar0\n  9: 0 IO-APIC 9-fasteoi acpi\n 25: 0 PCI-MSIX-0000:01:00.0 0-edge nvme0q0\n", False),
        # Of an Arm, before and since the kernel's names have the device in them.
        (" 13: 0 GICv3 27 Level arch_timer\n 40: 0 ITS-MSI 524288 Edge nvme0q0\n", True),
        (" 13: 0 GICv3 27 Level arch_timer\n 40: 0 ITS-PCI-MSIX-0000:01:00.0 0 Edge nvme0q0\n", True),
        (" 13: 0 GIC-0 27 Level arch_timer\n 40: 0 v2m-PCI-MSI-0000:01:00.0 0 Edge nvme0q0\n", None),
        (" 40: 0 XIVE-PCI-MSI 1 Edge nvme0q0\n", None),
        ("", None),
    ],
)
def test_interrupt_remapping_shows_in_the_names_of_chips(tmp_path: Path, interrupts: str, remapped: bool | None) -> None:
    tree = host_with(tmp_path, b"").file("/proc/interrupts", interrupts)
    tree.file("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y\n")
    found = device_info(tree.host(), forecast=False)["iommu"]
    assert (found["enabled"], found["interrupt_remapping"], found["unsafe_interrupts"], found["no_iommu_mode"]) == (
        True,
        remapped,
        True,
        False,
    )

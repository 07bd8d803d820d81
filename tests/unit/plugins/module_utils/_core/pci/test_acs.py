# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who shares an IOMMU group, and which bridge does not keep them apart, is said."""

from __future__ import annotations

import struct
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.pci.acs import isolates, keeps_apart
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

PORT, GPU, AUDIO, NIC = "0000:00:01.0", "0000:01:00.0", "0000:01:00.1", "0000:02:00.0"


ENDPOINT, ROOT_PORT, UPSTREAM, DOWNSTREAM, TO_PCI, FROM_PCI, INTEGRATED = 0, 4, 5, 6, 7, 8, 9


def config(capable: int | None = None, control: int = 0, kind: int | None = ROOT_PORT, several: bool = False) -> bytes:
    """A configuration space with the capability of PCI Express behind another one, and an extended one before that of ACS.

    ``kind`` is None for conventional PCI; ``several``: whether the header says that there are several functions.
    """
    space = bytearray(4096)
    space[0x06], space[0x0E], space[0x34] = 0x10, 0x80 * several, 0x40
    space[0x40:0x42] = bytes((0x01, 0 if kind is None else 0x50))
    if kind is not None:
        space[0x50:0x54] = bytes((0x10, 0, kind << 4 | 2, 0))
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


APART, OFF = (0x1F, 0x1D), (0x1F, 0)
KINDS: dict[str, tuple[bytes, str, bool | None]] = {
    "a root port": (config(*APART, kind=ROOT_PORT), "00:01.0", True),
    "a root port without": (config(kind=ROOT_PORT), "00:01.0", False),
    "a downstream port without": (config(kind=DOWNSTREAM), "02:00.0", False),
    "a downstream port that is switched off": (config(*OFF, kind=DOWNSTREAM), "02:00.0", False),
    "an upstream port of its own": (config(kind=UPSTREAM), "01:00.0", True),
    "an upstream port beside a function": (config(kind=UPSTREAM, several=True), "01:00.0", False),
    "an upstream port beside a function, with it": (config(*APART, kind=UPSTREAM, several=True), "01:00.0", True),
    "a bridge to PCI": (config(*APART, kind=TO_PCI), "01:00.0", False),
    "a bridge from PCI": (config(*APART, kind=FROM_PCI), "01:00.0", False),
    "conventional PCI": (config(*APART, kind=None), "01:00.0", False),
    "an endpoint of its own": (config(kind=ENDPOINT), "01:00.0", True),
    "an endpoint of several": (config(kind=ENDPOINT, several=True), "01:00.0", False),
    "an endpoint of several, with it": (config(*APART, kind=ENDPOINT, several=True), "01:00.0", True),
    "a second function": (config(kind=ENDPOINT), "01:00.1", False),
    "an integrated endpoint of its own": (config(kind=INTEGRATED), "00:02.0", True),
    "without an extended space": (config(*APART, kind=ROOT_PORT)[:256], "00:01.0", False),
    "what only root may read": (config(*APART, kind=ROOT_PORT)[:64], "00:01.0", None),
}


@pytest.mark.parametrize("name", KINDS)
def test_what_isolates_depends_on_the_kind_of_the_device(name: str) -> None:
    """pci_acs_enabled() in drivers/pci/pci.c."""
    space, address, expected = KINDS[name]
    assert isolates(f"0000:{address}", space) is expected


def host_with(root: Path, space: bytes) -> Tree:
    tree = Tree(root).pci(PORT, "8086:3408", class_code=0x060400, group=1)
    tree.pci(GPU, below=PORT, group=1, driver="nouveau").pci(AUDIO, "10de:10f0", class_code=0x040300, below=PORT, group=1)
    tree.pci(NIC, "8086:10d3", class_code=0x020000, below=PORT, group=1, driver="e1000e").pci("0000:03:00.0", group=3)
    tree.file(f"/sys/bus/pci/devices/{GPU}/config", config(kind=ENDPOINT, several=True))
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


# -- whole trees, with the groups that pci_device_group() makes of them

PORTS = ("0000:00:01.0", "0000:01:00.0", "0000:02:00.0", "0000:02:01.0")
FIRST_CARD, SECOND_CARD = "0000:03:00.0", "0000:04:00.0"


def switch(root: Path, spaces: tuple[bytes, bytes, bytes, bytes], in_group: tuple[bool, bool, bool, bool], functions: int = 1) -> Tree:
    """A root port, and below it a switch with two ports and a card behind each; the cards share a group."""
    tree = Tree(root)
    above = (None, PORTS[0], PORTS[1], PORTS[1])
    for number, (port, space, parent, is_in) in enumerate(zip(PORTS, spaces, above, in_group)):
        tree.pci(port, "8086:3408", class_code=0x060400, group=1 if is_in else 10 + number, below=parent)
        tree.file(f"/sys/bus/pci/devices/{port}/config", space)
    tree.pci(SECOND_CARD, "15b3:1021", class_code=0x020000, below=PORTS[3], group=1)
    for number in range(functions):
        card = f"{FIRST_CARD[:-1]}{number}"
        tree.pci(card, "15b3:1021", class_code=0x020000, below=PORTS[2], group=1)
        capable, control = APART if number == 0 else (None, 0)
        space = config(capable, control, ENDPOINT, functions > 1)
        tree.file(f"/sys/bus/pci/devices/{card}/config", space)
    return tree


ROOT_ON, UP = config(*APART, kind=ROOT_PORT), config(kind=UPSTREAM)
DOWN_ON, DOWN_OFF = config(*APART, kind=DOWNSTREAM), config(*OFF, kind=DOWNSTREAM)
SWITCHES: dict[str, tuple[tuple[bytes, bytes, bytes, bytes], tuple[bool, bool, bool, bool], tuple[int, ...]]] = {
    "a root port without": ((config(kind=ROOT_PORT), UP, DOWN_ON, DOWN_ON), (True, True, True, True), (0,)),
    "both ports of the switch": ((ROOT_ON, UP, DOWN_OFF, DOWN_OFF), (False, True, True, True), (2, 3)),
    "a switch without": ((ROOT_ON, UP, config(kind=DOWNSTREAM), config(kind=DOWNSTREAM)), (False, True, True, True), (2, 3)),
    # A root port that the kernel knows to isolate without ACS is in no group of what is below it.
    "a root port with a quirk": ((config(kind=ROOT_PORT), UP, DOWN_OFF, DOWN_OFF), (False, True, True, True), (2, 3)),
    "an upstream port with a function beside it": (
        (ROOT_ON, config(kind=UPSTREAM, several=True), DOWN_ON, DOWN_ON),
        (False, True, True, True),
        (1,),
    ),
}


@pytest.mark.parametrize("name", SWITCHES)
def test_the_ports_are_named_that_do_not_isolate_and_no_others(tmp_path: Path, name: str) -> None:
    spaces, in_group, at_fault = SWITCHES[name]
    said = because(switch(tmp_path, spaces, in_group), FIRST_CARD)
    assert said is not None
    named = tuple(number for number, port in enumerate(PORTS) if port in said.partition(": ")[2])
    assert named == at_fault


def test_functions_that_are_kept_apart_are_not_blamed_for_a_port(tmp_path: Path) -> None:
    said = because(switch(tmp_path, (ROOT_ON, UP, DOWN_OFF, DOWN_OFF), (False, True, True, True), functions=2), FIRST_CARD)
    assert said is not None
    assert "does not keep its functions apart" not in said
    assert "Another slot may be" in said


def test_conventional_pci_is_named_as_what_it_is(tmp_path: Path) -> None:
    bridge, one, other = "0000:05:00.0", "0000:06:00.0", "0000:06:01.0"
    tree = Tree(tmp_path).pci(bridge, "1b21:1080", class_code=0x060401, group=1).pci(one, below=bridge, group=1)
    tree.pci(other, below=bridge, group=1).file(f"/sys/bus/pci/devices/{bridge}/config", config(kind=TO_PCI))
    said = because(tree, one)
    assert said is not None
    assert f"{bridge} leads to conventional PCI, where nothing keeps devices apart" in said
    assert "switched on" not in said

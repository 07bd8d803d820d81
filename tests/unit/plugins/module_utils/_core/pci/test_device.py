# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What sysfs says about PCI functions and drivers."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory
from ansible_collections.vfio.variants.tests.unit.trees import Tree


def only(tree: Tree) -> Device:
    (device,) = Inventory.read(tree.host()).devices
    return device


def test_a_function_has_its_numbers_from_configuration_space(tmp_path: Path) -> None:
    device = only(Tree(tmp_path).pci("0000:3b:00.0", "10de:1db1", subsystem="10de:1212", class_code=0x030200, revision=0xA1))
    assert (device.id, device.subsystem_vendor, device.subsystem_device) == ("10de:1db1", 0x10DE, 0x1212)
    assert (device.class_code, device.revision) == (0x030200, 0xA1)
    assert device.modalias == "pci:v000010DEd00001DB1sv000010DEsd00001212bc03sc02i00"


def test_a_function_without_owner_override_group_or_node_has_none_of_them(tmp_path: Path) -> None:
    device = only(Tree(tmp_path).pci("0000:01:00.0"))
    assert (device.driver, device.driver_override, device.iommu_group, device.numa_node) == (None, None, None, None)
    assert not device.boot_vga
    assert not device.is_virtual


def test_owner_override_group_and_node_are_read(tmp_path: Path) -> None:
    device = only(Tree(tmp_path).pci("0000:01:00.0", driver="vfio-pci", override="vfio-pci", group=15, numa_node=1, boot_vga=True))
    assert (device.driver, device.driver_override, device.iommu_group, device.numa_node) == ("vfio-pci", "vfio-pci", 15, 1)
    assert device.boot_vga


def test_virtual_functions_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    tree = Tree(tmp_path).pci("0000:02:00.0", "8086:1592", max_virtual_functions=64, drivers_autoprobe=False)
    for number in range(12):
        tree.pci(f"0000:02:{number + 1:02x}.0", "8086:1889", physical_function="0000:02:00.0")
    physical, *virtual = Inventory.read(tree.host()).devices
    assert physical.virtual_functions == tuple(device.address for device in virtual)
    assert (physical.max_virtual_functions, physical.drivers_autoprobe) == (64, False)
    assert {device.physical_function for device in virtual} == {"0000:02:00.0"}


def test_what_user_space_uses_a_function_through_is_named(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.pci("0000:01:00.0", group=15, nodes=["drm/card0", "drm/renderD128", "vfio-dev/vfio0"])
    tree.pci("0000:02:00.0", "8086:10d3", nodes=["net/enp2s0"])
    tree.pci("0000:03:00.0", "1af4:1041", nodes=["virtio0/net/enp3s0"])
    tree.pci("0000:04:00.0", "144d:a808", nodes=["nvme/nvme0/nvme0n1", "nvme/nvme0/hwmon1"])
    nodes = [device.nodes for device in Inventory.read(tree.host()).devices]
    assert nodes == [("drm/card0", "vfio/15"), ("net/enp2s0",), ("net/enp3s0",), ("block/nvme0n1",)]


def test_a_group_holds_each_of_its_functions_and_a_function_without_group_itself(tmp_path: Path) -> None:
    tree = Tree(tmp_path).pci("0000:01:00.0", group=5).pci("0000:01:00.1", group=5).pci("0000:02:00.0", group=6).pci("0000:03:00.0")
    inventory = Inventory.read(tree.host())
    grouped, alone = inventory.get("0000:01:00.1"), inventory.get("0000:03:00.0")
    assert grouped is not None
    assert alone is not None
    assert [device.address for device in inventory.group_of(grouped)] == ["0000:01:00.0", "0000:01:00.1"]
    assert inventory.group_of(alone) == (alone,)
    assert inventory.get("0000:09:00.0") is None


@pytest.mark.parametrize(
    ("class_code", "bridge"),
    [(0x060000, True), (0x060400, True), (0x060700, True), (0x060100, False), (0x068000, False), (0x030200, False)],
    ids=["host", "pci", "cardbus", "isa", "nvswitch", "gpu"],
)
def test_a_bridge_is_what_vfio_does_not_count(tmp_path: Path, class_code: int, bridge: bool) -> None:
    assert only(Tree(tmp_path).pci("0000:00:1f.0", "8086:2918", class_code=class_code)).is_bridge is bridge


def test_a_module_and_its_drivers_find_each_other(tmp_path: Path) -> None:
    tree = Tree(tmp_path).module("hisi-acc-vfio-pci", ["hisi_acc_vfio_pci"]).module("two", ["one", "other"]).driver("pcieport")
    inventory = Inventory.read(tree.host())
    assert inventory.drivers_of_module("hisi_acc_vfio_pci") == ("hisi_acc_vfio_pci",)
    assert inventory.drivers_of_module("two") == ("one", "other")
    assert inventory.drivers["pcieport"].module is None


def test_a_host_without_pci_has_an_empty_inventory(tmp_path: Path) -> None:
    inventory = Inventory.read(Tree(tmp_path).host())
    assert inventory.devices == ()
    assert inventory.drivers == {}


def test_a_function_whose_event_is_not_told_has_its_numbers_from_single_attributes(tmp_path: Path) -> None:
    tree = Tree(tmp_path).pci("0000:3b:00.0", "10de:1db1", subsystem="10de:1212", class_code=0x030200)
    told = only(tree)
    tree.place("/sys/bus/pci/devices/0000:3b:00.0/uevent").unlink()
    assert only(tree) == told


def test_the_class_in_an_event_has_no_leading_zeros(tmp_path: Path) -> None:
    tree = Tree(tmp_path).pci("0000:00:00.0", "1af4:1042", class_code=0x018000)
    assert "PCI_CLASS=18000\n" in tree.place("/sys/bus/pci/devices/0000:00:00.0/uevent").read_text()
    assert only(tree).class_code == 0x018000


def test_a_function_that_has_gone_meanwhile_is_left_out(tmp_path: Path) -> None:
    tree = Tree(tmp_path).pci("0000:01:00.0").link("/sys/bus/pci/devices/0000:02:00.0", "../../../devices/pci0000:00/0000:02:00.0")
    assert only(tree).address == "0000:01:00.0"

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an event's device has: properties, attributes, files, and the devices above it."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import (
    IDENTITY,
    KERNEL_PROPERTIES,
    MISSING,
    Subject,
    of_bus,
    of_driver,
    of_module,
    of_subsystem,
)
from ansible_collections.vfio.variants.tests.unit.boots import device

ROOT = "/devices/pci0000:00"
PORT = device("0000:00:01.0", "8086:1901", class_code=0x060400, driver="pcieport", path=f"{ROOT}/0000:00:01.0")
SWITCH = device("0000:01:00.0", "10b5:8747", class_code=0x060400, driver="x", path=f"{ROOT}/0000:00:01.0/0000:01:00.0")
CARD = device("0000:02:00.0", "10de:1db1", subsystem="10de:1212", path=f"{ROOT}/0000:00:01.0/0000:01:00.0/0000:02:00.0", revision=0xA)
OTHERS = {one.address: one for one in (PORT, SWITCH, CARD)}
EVENT = Subject.of(CARD, OTHERS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MODALIAS", CARD.modalias),
        ("PCI_ID", "10DE:1DB1"),
        ("PCI_SUBSYS_ID", "10DE:1212"),
        ("PCI_SLOT_NAME", "0000:02:00.0"),
        ("PCI_CLASS", "30200"),
        ("SUBSYSTEM", "pci"),
        ("DEVPATH", CARD.path),
        ("DEVNAME", ""),
        ("X", ""),
    ],
)
def test_the_kernel_gives_an_event_these_properties(name: str, value: str) -> None:
    """pci_uevent() in drivers/pci/pci-driver.c."""
    assert EVENT.property(name) == value


def test_numbers_in_properties_have_four_digits_at_least() -> None:
    small = Subject.of(device(id="001c:00ab", subsystem="0001:0002", class_code=0x000100))
    assert [small.property(name) for name in ("PCI_ID", "PCI_SUBSYS_ID", "PCI_CLASS")] == ["001C:00AB", "0001:0002", "0100"]
    assert small.property("DEVPATH") is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("vendor", "0x10de"),
        ("device", "0x1db1"),
        ("subsystem_vendor", "0x10de"),
        ("subsystem_device", "0x1212"),
        ("class", "0x030200"),
        ("revision", "0x0a"),
        ("modalias", CARD.modalias),
        ("subsystem", "pci"),
        ("numa_node", None),
        ("boot_vga", MISSING),
        ("sriov_totalvfs", MISSING),
        ("sriov_numvfs", MISSING),
        ("config", None),
        ("driver_override", None),
    ],
)
def test_attributes_follow_from_a_functions_identity_as_far_as_they_are_known(name: str, value: object) -> None:
    assert EVENT.attribute(name) == value
    assert (name in IDENTITY) is (value is not None and value is not MISSING)


def test_some_attributes_are_those_of_certain_functions() -> None:
    vga = dataclasses.replace(CARD, class_code=0x030000, boot_vga=True, numa_node=1, max_virtual_functions=7)
    found = [Subject.of(vga).attribute(name) for name in ("boot_vga", "numa_node", "sriov_totalvfs", "sriov_numvfs")]
    assert found == ["1", "1", "7", None]
    assert Subject.of(dataclasses.replace(vga, boot_vga=False)).attribute("boot_vga") == "0"
    assert Subject.of(dataclasses.replace(vga, numa_node=-1)).attribute("numa_node") == "-1"


def test_of_a_root_bus_nothing_of_a_function_is_there() -> None:
    bus = EVENT.parents[-1]
    assert (bus.name, bus.attribute("vendor"), bus.attribute("modalias"), bus.attribute("power")) == (
        "pci0000:00",
        MISSING,
        MISSING,
        MISSING,
    )
    assert bus.attribute("waiting_for_supplier") is None
    assert of_driver("nouveau").attribute("vendor") is None


@pytest.mark.parametrize(
    ("path", "there"),
    [
        *((name, True) for name in ("vendor", "config", "driver_override", "power/control", "power", "uevent", "remove", "msi_bus", "irq")),
        ("physfn", False),
        ("physfn/vendor", False),
        ("sriov_totalvfs", False),
        ("sriov_numvfs", False),
        ("boot_vga", False),
        ("reset", None),
        ("driver", None),
        ("rom", None),
    ],
)
def test_some_files_are_in_every_functions_folder_and_some_in_none(path: str, there: bool | None) -> None:
    assert EVENT.has(path) is there


def test_a_virtual_function_has_a_link_to_its_physical_one() -> None:
    virtual = Subject.of(dataclasses.replace(CARD, physical_function=PORT.address))
    assert [virtual.has(path) for path in ("physfn", "physfn/vendor", "vendor")] == [True, None, True]
    physical = Subject.of(dataclasses.replace(CARD, max_virtual_functions=2, class_code=0x030000))
    assert [physical.has(path) for path in ("sriov_totalvfs", "sriov_offset", "boot_vga", "physfn")] == [True, True, True, False]
    assert of_driver("nouveau").has("bind") is None


def test_the_devices_above_are_the_bridges_and_the_root_bus_without_a_subsystem() -> None:
    found = [(one.name, one.subsystem, one.driver, one.devpath, one.is_event_s) for one in EVENT.parents]
    assert found == [
        ("0000:01:00.0", "pci", "x", SWITCH.path, False),
        ("0000:00:01.0", "pci", "pcieport", PORT.path, False),
        ("pci0000:00", "", "", ROOT, False),
    ]
    assert (EVENT.all_parents, EVENT.is_event_s, EVENT.driver) == (True, True, None)


def test_of_a_device_above_that_is_not_a_known_function_only_the_name_is_known() -> None:
    found = Subject.of(CARD, {PORT.address: PORT}).parents
    assert [(one.name, one.subsystem, one.driver) for one in found] == [
        ("0000:01:00.0", None, None),
        ("0000:00:01.0", "pci", "pcieport"),
        ("pci0000:00", "", ""),
    ]


def test_without_its_place_each_other_bridge_may_be_above() -> None:
    event = Subject.of(dataclasses.replace(CARD, path=None), OTHERS)
    assert ([one.name for one in event.parents], event.all_parents) == ([PORT.address, SWITCH.address], False)
    bridge = Subject.of(dataclasses.replace(SWITCH, path=None), OTHERS)
    assert [(one.name, one.driver) for one in bridge.parents] == [(PORT.address, "pcieport")]


def test_drivers_modules_and_the_bus_have_no_device_above_them() -> None:
    found = [(one.name, one.subsystem, one.devpath, one.driver) for one in (of_driver("x"), of_module("y"), of_bus())]
    assert found == [
        ("x", "drivers", "/bus/pci/drivers/x", ""),
        ("y", "module", "/module/y", ""),
        ("pci", "subsystem", "/bus/pci", ""),
    ]
    for one in (of_driver("x"), of_module("y"), of_bus()):
        assert (one.parents, one.all_parents, one.is_event_s, one.property("MODALIAS")) == ((), True, True, "")


def test_of_another_subsystems_device_the_subsystem_alone_is_known() -> None:
    net = of_subsystem("net")
    assert (net.name, net.subsystem, net.devpath, net.driver, net.all_parents, net.is_event_s) == (None, "net", None, None, False, True)
    assert Subject("x", None).property("X") is None


@pytest.mark.parametrize("name", ["MODALIAS", "PCI_ID", "SEQNUM", "ACTION", "DEVPATH", "DEVTYPE", "DEVNAME", "MAJOR", "MINOR", "SUBSYSTEM"])
def test_these_properties_are_the_kernels(name: str) -> None:
    assert name in KERNEL_PROPERTIES
    assert "ID_PATH" not in KERNEL_PROPERTIES

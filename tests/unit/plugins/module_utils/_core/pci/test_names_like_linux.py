# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes, properties and classes of PCI functions, compared with the sources of Linux and with the PCI ID database."""

from __future__ import annotations

import lzma
import re

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.claim import claims, guards
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast import foreign_events, matching, rule_effects
from ansible_collections.vfio.variants.plugins.module_utils._core.lint import udev_mistakes
from ansible_collections.vfio.variants.plugins.module_utils._core.pci import device, iommu
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import tokens
from ansible_collections.vfio.variants.plugins.module_utils._core.udev import attribute_paths, subject, sysfs_files
from ansible_collections.vfio.variants.tests.unit.boots import device as card
from ansible_collections.vfio.variants.tests.unit.sources import FILES, LINUX

SYSFS, DRIVERS, VIRTUAL, BUS = "drivers/pci/pci-sysfs.c", "drivers/pci/pci-driver.c", "drivers/pci/iov.c", "drivers/base/bus.c"
MADE = re.compile(r"^static (?:DEVICE|DRIVER|BUS)_ATTR_(RO|RW|WO|IGNORE_LOCKDEP)\((\w+)|__ATTR\((\w+), 0200", re.MULTILINE)
# What leaves each function with its driver: settings, and events and resets that the driver stays through.
HARMLESS = {
    *("broken_parity_status", "d3cold_allowed", "enable", "msi_bus", "numa_node", "reset", "reset_subordinate", "resource"),
    *("sriov_vf_msix_count", "uevent"),
}


def attributes(paths: tuple[str, ...] = (SYSFS, DRIVERS, VIRTUAL, BUS)) -> dict[str, bool]:
    """The names of attributes, and whether they can be written."""
    found = [one for path in paths for one in MADE.findall(LINUX.text(path))]
    return {name or other: kind != "RO" for kind, name, other in found}


def test_each_attribute_that_can_be_written_acts_on_drivers_or_leaves_them_alone() -> None:
    written = {name for name, is_written in attributes().items() if is_written}
    assert len(written) > 15
    assert written == attribute_paths.ACTING | {"sriov_numvfs"} | HARMLESS
    assert {*rule_effects._EFFECT_OF, "rescan"} == attribute_paths.ACTING


@pytest.mark.parametrize("name", [*sorted(attribute_paths.ACTING), "sriov_numvfs", "reset", "reset_subordinate"])
def test_scripts_that_write_such_an_attribute_are_seen(name: str) -> None:
    assert [token.written for token in tokens.acting(f"echo 1 > /sys/bus/pci/x/{name}")] == [name]


def test_a_slot_has_the_attribute_that_takes_its_power_away() -> None:
    assert '.attr = {.name = "power"' in LINUX.text("drivers/pci/hotplug/pci_hotplug_core.c", "hotplug_slot_attr_power = {", "};")
    assert 'kset_create_and_add("slots"' in LINUX.text("drivers/pci/slot.c")
    assert [token.acts for token in tokens.acting("echo 0 > /sys/bus/pci/slots/1-2/power")] == [("remove",)]
    assert list(tokens.acting("echo on > /sys/bus/pci/devices/0000:3b:00.0/power/control")) == []


def test_the_owners_of_attributes_are_those_whose_files_make_them() -> None:
    text = "".join(map(LINUX.text, (SYSFS, DRIVERS, VIRTUAL, BUS)))
    made = re.findall(r"^static (DEVICE|DRIVER|BUS)_ATTR_(?:RW|WO|RO|IGNORE_LOCKDEP)\((\w+)", text, re.MULTILINE)
    assert [name for name in attribute_paths.OF_DRIVER if ("DRIVER", name) not in made] == []
    assert [name for name in attribute_paths.OF_BUS if ("BUS", name) not in made] == []
    assert [name for name in attribute_paths.OF_DEVICE if ("DEVICE", name) not in made] == ["rescan"]
    assert "dev_attr_dev_rescan = __ATTR(rescan," in text


def test_attributes_of_every_function_are_in_linux_s_lists() -> None:
    lists = LINUX.text(SYSFS, "pci_dev_attrs[] = {", "};") + LINUX.text(SYSFS, "pci_dev_hp_attrs[] = {", "};")
    listed = {name.removeprefix("dev_") for name in re.findall(r"&dev_attr_(\w+)\.attr", lists)}
    # These are of each device of a bus, or folders and links.
    of_all = {"config", "driver_override", "power", "power/control", "subsystem", "uevent"}
    assert sysfs_files.EVERYWHERE - of_all <= listed
    assert set(udev_mistakes.ATTRIBUTES) - {"label", "index", "config", "reset_method"} <= attributes().keys() | listed


def test_attributes_have_the_modes_that_linux_gives_them() -> None:
    text = LINUX.text(SYSFS) + LINUX.text(VIRTUAL)
    given = {
        name: {"RO": 0o444, "RW": 0o644, "WO": 0o200}[kind]
        for kind, name in re.findall(r"^static DEVICE_ATTR_(R[OW]|WO)\((\w+)\);", text, re.MULTILINE)
    }
    given.update((name, 0o444) for name in re.findall(r"^pci_config_attr\((\w+),", text, re.MULTILINE))
    given.update((name, int(mode, 8)) for name, mode in re.findall(r"(?:__ATTR|IGNORE_LOCKDEP)\((\w+), (0\d+),", text))
    modes = sysfs_files.MODES
    of_all = {"config", "driver_override", "power", "power/control", "subsystem", "uevent", "physfn"}
    assert {name for name in modes if given.get(name) not in modes[name]} == of_all
    assert "static DEVICE_ATTR_RW(driver_override);" in LINUX.text("drivers/base/bus.c")
    assert 'sysfs_emit(buf, "%s\\n", dev->driver_override.name)' in LINUX.text("drivers/base/bus.c")
    assert all(sysfs_files.is_never_read(name) for name, mode in given.items() if not mode & 0o444)


def test_attributes_of_a_function_s_identity_are_written_as_linux_writes_them() -> None:
    formats = dict(re.findall(r'^pci_config_attr\((\w+), "(0x%0\dx)\\n"\);', LINUX.text(SYSFS), re.MULTILINE))
    assert formats.keys() == {"vendor", "device", "subsystem_vendor", "subsystem_device", "revision", "class"}
    found = card(id="10de:1db1", class_code=0x030200)
    for name, pattern in formats.items():
        written = subject._IDENTITY[name](found)
        assert written == pattern % int(written, 16)
    assert set(udev_mistakes.IDENTITY) == {*formats, "modalias"}
    assert {*udev_mistakes.IDENTITY, "subsystem"} == subject.IDENTITY


def test_properties_of_an_event_are_those_that_linux_gives() -> None:
    own = re.findall(r'add_uevent_var\(env, "(\w+)=([^"]*)"', LINUX.text(DRIVERS, "static int pci_uevent(", "\n}\n"))
    names = {name for name, _format in own}
    assert {"PCI_CLASS", "PCI_ID", "PCI_SUBSYS_ID", "PCI_SLOT_NAME", "MODALIAS"} <= names
    assert names | {"SUBSYSTEM"} == set(subject._PROPERTIES)
    found = card(id="10de:1db1", class_code=0x010802)
    for name, pattern in own:
        if name in ("PCI_CLASS", "PCI_ID", "PCI_SUBSYS_ID"):
            written = subject._PROPERTIES[name](found)
            assert written == pattern % tuple(int(one, 16) for one in written.split(":"))
    general = {
        name for name in re.findall(r'add_uevent_var\(env, "(\w+)=', LINUX.text("lib/kobject_uevent.c")) if name not in ("HOME", "PATH")
    }
    assert {"ACTION", "DEVPATH", "SUBSYSTEM", "SEQNUM", "SYNTH_UUID"} <= general
    assert {name for name in general if not name.startswith("SYNTH_ARG_")} <= subject.KERNEL_PROPERTIES
    assert set(udev_mistakes.PROPERTIES) <= names


def test_classes_are_those_of_linux_and_of_the_database() -> None:
    header = "include/linux/pci_ids.h"
    bridges = [LINUX.macro(header, f"PCI_CLASS_BRIDGE_{name}") for name in ("HOST", "PCI", "CARDBUS")]
    database = lzma.decompress((FILES / "pci.ids.xz").read_bytes()).decode()
    classes = dict(re.findall(r"^C (\w\w)  (.+)$", database, re.MULTILINE))
    assert {*bridges, 0x0609} == set(device.BRIDGES) == {matching.HOST_BRIDGE, *matching.BRIDGE_HEADERS}
    assert "\n\t09  Semi-transparent PCI-to-PCI bridge\n" in database[database.index("\nC 06  Bridge\n") : database.index("\nC 07  ")]
    assert LINUX.macro(header, "PCI_CLASS_BRIDGE_OTHER") == claims.CLASS_BRIDGE_OTHER
    assert LINUX.macro(header, "PCI_CLASS_DISPLAY_VGA") == subject.VGA
    bases = {
        name: LINUX.macro(header, f"PCI_BASE_CLASS_{name}")
        for name in ("STORAGE", "NETWORK", "DISPLAY", "MULTIMEDIA", "BRIDGE", "SERIAL", "WIRELESS")
    }
    assert (bases["STORAGE"], bases["NETWORK"]) == (guards.STORAGE_CLASS, guards.NETWORK_CLASS)
    assert bases["BRIDGE"] == claims.BASE_CLASS_BRIDGE
    of_children = {
        "net": "NETWORK WIRELESS",
        "drm": "DISPLAY",
        "sound": "DISPLAY MULTIMEDIA",
        "nvme": "STORAGE",
        "usb": "SERIAL MULTIMEDIA",
    }
    for subsystem, names in of_children.items():
        assert foreign_events._CLASSES[subsystem] == tuple(bases[name] for name in names.split())
    said = [classes[f"{number:02x}"] for number in foreign_events._UNTOLD]
    assert said == ["Unclassified device", "Processor", "Processing accelerators", "Unassigned class"]


def test_groups_without_an_iommu_have_the_name_that_vfio_gives_them() -> None:
    assert f'iommu_group_set_name(iommu_group, "{iommu.NO_IOMMU}")' in LINUX.text("drivers/vfio/group.c")

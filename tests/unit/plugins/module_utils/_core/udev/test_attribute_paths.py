# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which device, driver or bus an attribute belongs to, whatever way its path takes through sysfs."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.udev.attribute_paths import Target, acts, target_of
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import Key
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import Subject, of_bus, of_driver, of_module, of_subsystem
from ansible_collections.vfio.variants.tests.unit.boots import device

ROOT = "/devices/pci0000:00"
PORT = device("0000:00:01.0", "8086:1901", class_code=0x060400, path=f"{ROOT}/0000:00:01.0")
CARD = device(
    "0000:01:00.0", path=f"{ROOT}/0000:00:01.0/0000:01:00.0", virtual_functions=("0000:01:00.4", "0000:01:00.5"), max_virtual_functions=2
)
VIRTUAL = device("0000:01:00.4", path=f"{ROOT}/0000:00:01.0/0000:01:00.4", physical_function=CARD.address)
ALONE = device("0000:00:02.0", path=f"{ROOT}/0000:00:02.0")
OTHERS = {one.address: one for one in (PORT, CARD, VIRTUAL, ALONE)}


def target(path: str, subject: Subject | None = None) -> Target:
    return target_of(Key("ATTR", path, "=", "x"), subject or Subject.of(CARD, OTHERS), OTHERS)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("driver_override", Target("device", "", "driver_override")),
        ("driver/unbind", Target("own driver", "", "unbind")),
        ("subsystem/drivers_probe", Target("bus", "", "drivers_probe")),
        ("subsystem/devices/0000:00:02.0/remove", Target("device", "0000:00:02.0", "remove")),
        ("subsystem/drivers/nouveau/bind", Target("driver", "nouveau", "bind")),
        ("subsystem/drivers/nouveau", Target("unknown", "", "nouveau")),
        ("subsystem/devices/0000:00:02.0", Target("unknown", "", "0000:00:02.0")),
        ("subsystem/x/nouveau/bind", Target("unknown", "", "bind")),
        ("driver/0000:99:00.0/power/control", Target("unknown", "", "control")),
        ("driver/module/drivers/pci:nouveau/bind", Target("unknown", "", "bind")),
        ("driver/drivers/nouveau/bind", Target("driver", "nouveau", "bind")),
        ("virtfn0/driver_override", Target("device", "0000:01:00.4", "driver_override")),
        ("virtfn1/driver/unbind", Target("own driver", "0000:01:00.5", "unbind")),
        ("virtfn2/driver_override", Target("unknown", "", "driver_override")),
        ("virtfn/driver_override", Target("unknown", "", "driver_override")),
        ("virtfn0/physfn/remove", Target("device", "0000:01:00.0", "remove")),
        ("../driver_override", Target("device", "0000:00:01.0", "driver_override")),
        ("../driver/unbind", Target("own driver", "0000:00:01.0", "unbind")),
        ("../../driver_override", Target("unknown", "", "driver_override")),
        ("physfn/driver_override", Target("unknown", "", "driver_override")),
        ("x/driver_override", Target("unknown", "", "driver_override")),
        ("[pci/0000:00:02.0]driver_override", Target("device", "0000:00:02.0", "driver_override")),
        ("[pci/0000:00:02.0]driver/unbind", Target("own driver", "0000:00:02.0", "unbind")),
        ("[pci/0000:00:02.0]../remove", Target("unknown", "", "remove")),
        ("[pci/0000:01:00.4]physfn/remove", Target("device", "0000:01:00.0", "remove")),
        ("[pci/0000:09:00.0]driver_override", Target("nothing", "", "driver_override")),
        ("virtfn1/x/power/control", Target("unknown", "", "control")),
        ("[subsystem/pci]drivers_probe", Target("bus", "", "drivers_probe")),
        ("[subsystem/pci]devices/0000:00:02.0/remove", Target("device", "0000:00:02.0", "remove")),
        ("[subsystem/usb]drivers_probe", Target("unknown", "", "drivers_probe")),
        ("[drivers/pci:nouveau]unbind", Target("driver", "nouveau", "unbind")),
        ("[drivers/pci:nouveau]0000:00:02.0/driver_override", Target("device", "0000:00:02.0", "driver_override")),
        ("[drivers/pci:nouveau]module/x", Target("unknown", "", "x")),
        ("[drivers/pci:nouveau]module/parameters/y", Target("unknown", "", "y")),
        ("[drivers/usb:nouveau]unbind", Target("unknown", "", "unbind")),
        ("[net/eth0]device/driver_override", Target("unknown", "", "driver_override")),
    ],
)
def test_a_path_from_a_function_leads_to(path: str, found: Target) -> None:
    assert target(path) == found


def test_a_function_below_the_root_bus_has_no_function_above_it() -> None:
    assert target("../remove", Subject.of(ALONE, OTHERS)) == Target("unknown", "", "remove")
    placeless = Subject.of(dataclasses.replace(CARD, path=None), OTHERS)
    assert target("../remove", placeless) == Target("unknown", "", "remove")


def test_a_virtual_function_leads_to_its_physical_one() -> None:
    assert target("physfn/driver_override", Subject.of(VIRTUAL, OTHERS)) == Target("device", CARD.address, "driver_override")


def test_without_a_list_of_devices_a_named_one_is_taken_to_be_there() -> None:
    key = Key("ATTR", "[pci/0000:09:00.0]driver_override", "=", "x")
    assert target_of(key, Subject.of(CARD), {}) == Target("device", "0000:09:00.0", "driver_override")
    deeper = Key("ATTR", "[pci/0000:09:00.0]physfn/remove", "=", "x")
    assert target_of(deeper, Subject.of(CARD), {}) == Target("unknown", "", "remove")


@pytest.mark.parametrize(
    ("subject", "path", "found"),
    [
        (of_bus(), "drivers_probe", Target("bus", "", "drivers_probe")),
        (of_bus(), "devices/0000:00:02.0/remove", Target("device", "0000:00:02.0", "remove")),
        (of_driver("nouveau"), "bind", Target("driver", "nouveau", "bind")),
        (of_driver("nouveau"), "0000:00:02.0/remove", Target("device", "0000:00:02.0", "remove")),
        (of_module("nouveau"), "remove", Target("nothing", "", "remove")),
        (of_module("nouveau"), "drivers/pci:nouveau/bind", Target("driver", "nouveau", "bind")),
        (of_module("nouveau"), "drivers/usb:nouveau/bind", Target("unknown", "", "bind")),
        (of_module("nouveau"), "holders/pci:nouveau/bind", Target("unknown", "", "bind")),
        (of_module("nouveau"), "drivers/bind", Target("unknown", "", "bind")),
        (of_subsystem("net"), "remove", Target("nothing", "", "remove")),
        (of_subsystem("net"), "device/remove", Target("unknown", "", "remove")),
        (of_subsystem("drivers"), "x/bind", Target("unknown", "", "bind")),
        (Subject("usb", "subsystem", is_event_s=True), "drivers_probe", Target("nothing", "", "drivers_probe")),
        (Subject("pci", "net", is_event_s=True), "drivers_probe", Target("nothing", "", "drivers_probe")),
    ],
)
def test_a_path_from_another_device_leads_to(subject: Subject, path: str, found: Target) -> None:
    assert target(path, subject) == found


@pytest.mark.parametrize(
    "name",
    "driver_override remove rescan sriov_drivers_autoprobe bind unbind new_id remove_id drivers_probe drivers_autoprobe".split(),
)
def test_these_attributes_decide_which_driver_a_function_has(name: str) -> None:
    for path in (name, f"a/b/{name}", f"[pci/0000:00:02.0]{name}"):
        assert acts(Key("ATTR", path, "=", "x"))
    assert not acts(Key("ATTR", name, "==", "x"))
    assert not acts(Key("ENV", name, "=", "x"))
    assert not acts(Key("ATTR", f"{name}/x", "=", "x"))
    assert not acts(Key("ATTR", f"x{name}", "=", "x"))

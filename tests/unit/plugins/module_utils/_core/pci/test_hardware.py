# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices that are described, not found."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.hardware import parse
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, NVIDIA_DISPLAY, Tree, modalias, stock_debian

V100 = modalias("10de:1db1", "10de:1212")


def test_a_modalias_is_enough() -> None:
    (device,) = parse([{"modalias": V100}])
    assert (device.id, device.subsystem_vendor, device.subsystem_device, device.class_code) == ("10de:1db1", 0x10DE, 0x1212, 0x030200)
    assert (device.address, device.driver, device.iommu_group) == ("ffff:00:00.0", None, None)


def test_addresses_that_are_made_up_differ_from_each_other_and_from_those_given() -> None:
    devices = parse([{"modalias": V100}, {"modalias": V100, "address": "ffff:00:00.0"}, {"modalias": V100}])
    assert [device.address for device in devices] == ["ffff:00:00.0", "ffff:00:01.0", "ffff:00:02.0"]


def test_what_one_host_returns_can_be_asked_of_an_image(tmp_path: Path) -> None:
    live = stock_debian(tmp_path / "live")
    live.pci("0000:3b:00.0", subsystem="10de:1212", driver="nouveau", group=15, numa_node=1, boot_vga=True, nodes=["drm/card0"])
    live.pci("0000:3b:00.1", "10de:10f7", class_code=0x040300, group=15, max_virtual_functions=4)
    told = json.loads(json.dumps(device_info(live.host())["devices"]))
    image = Tree(tmp_path / "image").kernel(DEBIAN_13, {"nouveau": [NVIDIA_DISPLAY]})
    asked = device_info(image.host(), hardware=told)["devices"]
    same = ("address", "id", "class", "revision", "modalias", "boot_vga", "numa_node", "driver", "iommu_group", "group_devices", "nodes")
    assert [[device[field] for field in same] for device in asked] == [[device[field] for field in same] for device in told]
    assert asked[0]["kernels"][DEBIAN_13]["natives"] == ["nouveau"]


def test_described_devices_are_judged_in_place_of_those_that_are_there(tmp_path: Path) -> None:
    tree = stock_debian(tmp_path).pci("0000:3b:00.0", driver="nouveau")
    (device,) = device_info(tree.host(), hardware=[{"modalias": modalias("8086:10d3", class_code=0x020000)}])["devices"]
    assert (device["id"], [entry["module"] for entry in device["contenders"]]) == ("8086:10d3", ["e1000e", "vfio_pci"])


def test_described_devices_can_be_selected(tmp_path: Path) -> None:
    described = [{"modalias": V100}, {"modalias": modalias("8086:10d3", class_code=0x020000), "address": "0000:02:00.0"}]
    told = device_info(stock_debian(tmp_path).host(), devices="class:02", hardware=described)
    assert [device["address"] for device in told["devices"]] == ["0000:02:00.0"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("0000:3b:00.0", r"hardware\[0\]: '0000:3b:00\.0' is not a description of a device"),
        ({}, r"hardware\[0\]\.modalias is missing"),
        ({"modalias": "usb:v1"}, r"hardware\[0\]\.modalias: 'usb:v1' is not a valid PCI modalias"),
        ({"modalias": V100 + "*"}, "is not a valid PCI"),
        ({"modalias": V100, "colour": "red"}, r"hardware\[0\]: a device has no field colour"),
        ({"modalias": V100, "address": "3b:00.0"}, r"hardware\[0\]\.address: '3b:00\.0' is not a PCI address"),
        ({"modalias": V100, "address": 180.1}, "180.1 is not a PCI address"),
        ({"modalias": V100, "vendor": "8086"}, r"hardware\[0\]\.vendor: '8086' disagrees with the modalias, which says 10de"),
        ({"modalias": V100, "class": "0302"}, "disagrees with the modalias, which says 030200"),
        ({"modalias": V100, "iommu_group": "15"}, r"iommu_group: '15' is not a number"),
        ({"modalias": V100, "iommu_group": True}, "True is not a number"),
        ({"modalias": V100, "driver": ""}, r"driver: '' is not a name"),
        ({"modalias": V100, "boot_vga": "yes"}, "is neither true nor false"),
        ({"modalias": V100, "revision": 161}, "161 is not a revision"),
        ({"modalias": V100, "nodes": "drm/card0"}, "is not a list of strings"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(entry: t.Any, message: str) -> None:
    with pytest.raises(HostError, match=message):
        parse([entry])


def test_one_address_for_two_functions_is_refused() -> None:
    entry = {"modalias": V100, "address": "0000:3b:00.0"}
    with pytest.raises(HostError, match=r"0000:3b:00\.0 is described twice"):
        parse([entry, entry])

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One grammar for devices: what each form selects, and what is told where it selects nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.selector import parse, parse_id, select, selector_of
from ansible_collections.vfio.variants.tests.unit.trees import Tree

GPU, SECOND, SOUND, NIC, FAR = "0000:3b:00.0", "0000:5e:00.0", "0000:3b:00.1", "0000:02:00.0", "10000:01:00.0"


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    tree = Tree(tmp_path).pci(GPU, "10de:1db1", subsystem="10de:1212").pci(SECOND, "10de:1db1", subsystem="10de:1249")
    tree.pci(SOUND, "10de:10f7", class_code=0x040300).pci(NIC, "8086:10d3", class_code=0x020000).pci(FAR, "144d:a808", class_code=0x010802)
    return Inventory.read(tree.host())


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("10de:1db1", {GPU, SECOND}),
        ("10DE:1DB1", {GPU, SECOND}),
        ("10de:*", {GPU, SECOND, SOUND}),
        ("10de:1db1:10de:1212", {GPU}),
        ("10de:1db1:10de:*", {GPU, SECOND}),
        ("0000:3b:00.0", {GPU}),
        ("3b:00.0", {GPU}),
        (" 0000:3B:00.0 ", {GPU}),
        ("0000:3b:00.*", {GPU, SOUND}),
        ("3b:00.?", {GPU, SOUND}),
        ("*:00.0", {GPU, SECOND, NIC}),
        ("0000:3b:*", {GPU, SOUND}),
        ("0000:[35]?:00.0", {GPU, SECOND}),
        ("10000:01:00.0", {FAR}),
        ("class:0302", {GPU, SECOND}),
        ("class:03", {GPU, SECOND}),
        ("class:0x010802", {FAR}),
        ("class:02,class:04", {NIC, SOUND}),
        ({"vendor": "10de", "class": "03"}, {GPU, SECOND}),
        ({"vendor": "0x10DE", "device": "*", "class": "0x0403"}, {SOUND}),
        ({"subsystem_vendor": "10de", "subsystem_device": "1249"}, {SECOND}),
        ({"address": "3b:00.*", "device": "1db1"}, {GPU}),
        (["8086:10d3", {"address": SECOND}, ["class:01"]], {NIC, SECOND, FAR}),
        (["10de:1db1", GPU], {GPU, SECOND}),
    ],
)
def test_a_selector_selects(inventory: Inventory, written: object, expected: set[str]) -> None:
    assert {device.address for device in select(inventory, parse(written))} == expected


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("", "'' is not a valid selector"),
        ("nvidia", "'nvidia' is not a valid selector"),
        ("10de", "'10de' is not a valid selector"),
        ("*", r"'\*' is not a valid selector"),
        ("*:1db1", "does not name the vendor"),
        ("10de:1db", "'1db' is not four hexadecimal digits"),
        ("10de:xyzw", "'xyzw' is not four hexadecimal digits"),
        ("10de:1db1:10de:1212:00", "is not a valid selector"),
        ("0000:3b:00.8", "is not a PCI address"),
        ("0000:3b:20.0", "is not a PCI address"),
        ("0000:3b:00", "is not a PCI address"),
        ("0000:3b:00.0;rm", "is not a PCI address"),
        ('0000:3b:0*."x', "is not a PCI address"),
        ("class:", "'class:' is not a PCI class"),
        ("class:3", "is not a PCI class"),
        ("class:03020000", "is not a PCI class"),
        (None, "None is not a valid selector"),
        (True, "True is not a valid selector"),
        ({}, "an empty dictionary"),
        ({"adress": GPU}, "has no field adress"),
        ({"vendor": 4318}, "vendor is 4318, which is not a string"),
        ({"vendor": "*"}, "matches every device"),
        (["10de:1db1", 7], "the number 7 is not a valid selector"),
    ],
)
def test_what_is_not_a_selector_is_refused_with_the_options_name(written: object, told: str) -> None:
    with pytest.raises(HostError, match=told) as caught:
        parse(written, "claims[2].devices")
    assert caught.value.msg.startswith("claims[2].devices")
    assert caught.value.hint


def test_an_address_that_yaml_made_a_number_comes_with_the_address_it_was() -> None:
    # 0000:03:00.1 without quotes is 180.1 to YAML.
    with pytest.raises(HostError, match=r"in quotes, as in '0000:03:00\.1'"):
        parse(180.1)


def test_what_device_info_returned_is_answered_with_the_way_to_pass_it_on() -> None:
    with pytest.raises(HostError, match=r"\[\]\.address"):
        parse([{"address": GPU, "modalias": "pci:v*", "driver": None}])


def test_what_matches_nothing_is_an_error_that_names_the_nearest(inventory: Inventory) -> None:
    with pytest.raises(HostError, match="10de:1db5 matches no PCI device") as caught:
        select(inventory, parse(["10de:1db1", "10de:1db5"]))
    assert f"{GPU} (10de:1db1, class 030200)" in str(caught.value.hint)
    with pytest.raises(HostError) as caught:
        select(inventory, parse("0000:3c:00.0"))
    assert GPU in str(caught.value.hint)


def test_what_may_be_missing_is_left_out(inventory: Inventory) -> None:
    assert [device.address for device in select(inventory, parse(["10de:1db5", NIC]), allow_missing=True)] == [NIC]
    assert select(inventory, (), allow_missing=True) == ()


def test_an_empty_list_selects_nothing_and_is_told(inventory: Inventory) -> None:
    with pytest.raises(HostError, match="the list is empty"):
        select(inventory, parse([]))


def test_devices_come_in_the_inventorys_order_each_once(inventory: Inventory) -> None:
    assert [device.address for device in select(inventory, parse([SECOND, "10de:*", NIC]))] == [NIC, GPU, SOUND, SECOND]


def test_a_device_is_selected_by_its_own_selector_alone(inventory: Inventory) -> None:
    device = inventory.get(SECOND)
    assert device is not None
    assert select(inventory, (selector_of(device),)) == (device,)
    assert selector_of(device).names_address
    assert not parse("0000:3b:00.*")[0].names_address


def test_an_id_is_two_times_four_digits() -> None:
    assert parse_id("8086:1592", "expect") == (0x8086, 0x1592)
    for bad in ("8086", "8086:*", "8086:15922", 8086, "8086:1592:1:2"):
        with pytest.raises(HostError, match=r"^expect: "):
            parse_id(bad, "expect")

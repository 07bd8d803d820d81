# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A preset is the card that it is named after, as far as the PCI ID database knows it, and can be emulated."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.modules.test_vm import argument_spec
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.function import PciFunction
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.parts import BAR_SIZES
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.presets import PRESETS, Member
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.topology import functions_of, place
from ansible_collections.vfio.variants.tests import marked_page
from ansible_collections.vfio.variants.tests.unit import pci_ids, preset_table

IDS = pci_ids.read()
MEMBERS = [(name, member) for name, preset in PRESETS.items() for member in preset.members]
#: A word of the name that the PCI ID database has, and of its class.
NAMED = {
    "v100": ("Tesla V100 SXM2 16GB", "3D controller"),
    "a100": ("A100 PCIe 40GB", "3D controller"),
    "h100": ("H100 SXM5 80GB", "3D controller"),
    "gh200": ("GH200 120GB / 480GB", "3D controller"),
    "mi300x": ("Instinct MI300X", "Processing accelerators"),
    "connectx7": ("ConnectX-7", "Ethernet controller"),
    "connectx7-vf": ("mlx5Gen Virtual Function", "Ethernet controller"),
    "connectx7-two-ports": ("ConnectX-7", "Ethernet controller"),
    "pm9a3": ("PM9A3", "NVM Express"),
    "nvme": ("NVM Express", "NVM Express"),
    "two-v100": ("Tesla V100 SXM2 16GB", "3D controller"),
}


def named(number: int) -> str:
    return f"{number:04x}"


def class_of(function: PciFunction) -> str:
    code = f"{function.class_code:06x}"
    return IDS.classes.get(code) or IDS.classes[code[:4]]


@pytest.mark.parametrize(("name", "member"), MEMBERS)
def test_a_preset_is_what_the_pci_id_database_calls_it(name: str, member: Member) -> None:
    function = member.emulated
    name_of_id, name_of_class = NAMED[name]
    assert name_of_id in IDS.names[f"{named(function.vendor)}:{named(function.device)}"]
    assert name_of_class in class_of(function)


@pytest.mark.parametrize(("name", "member"), MEMBERS)
def test_a_subsystem_is_of_a_vendor_that_exists(name: str, member: Member) -> None:
    function = member.emulated
    assert (function.subsystem_vendor == 0) == (function.subsystem_device == 0), name
    assert not function.subsystem_vendor or named(function.subsystem_vendor) in IDS.names


def test_a_subsystem_that_the_database_lists_is_that_card() -> None:
    (member,) = PRESETS["pm9a3"].members
    function = member.emulated
    assert "PM9A3" in IDS.names[f"144d:a80a {named(function.subsystem_vendor)}:{named(function.subsystem_device)}"]


@pytest.mark.parametrize(("name", "member"), MEMBERS)
def test_a_bar_is_a_power_of_two_that_can_be_emulated(name: str, member: Member) -> None:
    assert member.model or member.emulated.bars, name
    for region in member.emulated.bars:
        least, most = BAR_SIZES[region.kind]
        assert region.size & (region.size - 1) == 0
        assert least <= region.size <= most
    assert PciFunction.from_json(member.emulated.to_json()) == member.emulated


def test_the_module_offers_the_presets_that_there_are() -> None:
    assert argument_spec()["functions"]["options"]["preset"]["choices"] == sorted(PRESETS)
    assert NAMED.keys() == PRESETS.keys()


def test_a_preset_of_one_function_has_the_elements_name() -> None:
    (function,) = functions_of({"id": "gpu", "preset": "a100"})
    assert (function.id, function.slot, function.emulated) == ("gpu", "gpu", PRESETS["a100"].members[0].emulated)


def test_identical_cards_are_in_slots_of_their_own() -> None:
    placed = place(functions_of({"id": "gpu", "preset": "two-v100"}))
    assert [(one.function.id, one.bus, one.address) for one in placed] == [("gpu-1", "port-gpu-1", "0.0"), ("gpu-2", "port-gpu-2", "0.0")]
    assert placed[0].function.emulated == placed[1].function.emulated


def test_a_group_is_the_functions_of_one_device() -> None:
    placed = place(functions_of({"id": "nic", "preset": "connectx7-two-ports"}))
    assert [(one.function.id, one.bus, one.address) for one in placed] == [
        ("nic-port0", "port-nic", "0.0"),
        ("nic-port1", "port-nic", "0.1"),
    ]


def test_the_disk_that_works_is_qemus() -> None:
    (function,) = functions_of({"id": "disk", "preset": "nvme", "emulate": None, "qemu": None, "options": None})
    assert (function.model, function.emulated) == ("nvme", None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"preset": "voodoo"}, "functions: gpu: preset is 'voodoo'; allowed are a100, "),
        ({"preset": "a100", "qemu": "edu"}, "functions: gpu has a preset and emulate, qemu, options or size."),
        ({"preset": "a100", "emulate": {"vendor": 1, "device": 2}}, "functions: gpu has a preset and emulate, qemu, options or size."),
        ({"preset": "two-v100", "id": "g" * 30}, "is not usable"),
    ],
)
def test_a_preset_that_cannot_be_is_refused_in_a_sentence(given: dict[str, object], said: str) -> None:
    with pytest.raises(HostError) as refused:
        functions_of({"id": "gpu", **given})
    assert said in str(refused.value)


def test_the_guide_has_the_presets_as_they_are() -> None:
    text = preset_table.PAGE.read_text(encoding="utf-8")
    assert marked_page.parted(text, preset_table.BEGIN, preset_table.END)[1].strip() == preset_table.table()

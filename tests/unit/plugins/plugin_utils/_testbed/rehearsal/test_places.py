# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each function of a host goes to its own address, or is named with the reason why not."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.presets import PRESETS
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.places import LARGEST_WINDOW, Places, emulated, place
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user.config_space import ConfigSpace

Function = dict[str, t.Any]
WINDOWS = (
    "0x00000000e0000000 0x00000000e0ffffff 0x0000000000040200\n"
    "0x0000004000000000 0x00000043ffffffff 0x000000000014220c\n"
    "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
    "0x000000000000e000 0x000000000000e07f 0x0000000000040101\n"
)


def function(path: str, **others: t.Any) -> Function:
    address = path.rpartition("/")[2]
    basis = {"vendor": 0x10DE, "device": 0x1DB1, "subsystem_vendor": 0, "subsystem_device": 0, "class": 0x030200, "revision": 0xA1}
    known = {
        "address": address,
        "path": f"/devices/{path}",
        "physical_function": None,
        "resource": WINDOWS,
        "configuration": bytes(256).hex(),
    }
    return {**basis, **known, **others}


def bridge(path: str, secondary: int) -> Function:
    content = bytearray(256)
    content[0x0E], content[0x19] = 1, secondary
    return function(path, configuration=content.hex(), **{"class": 0x060400})


def ports(places: Places) -> dict[str, str]:
    """Each port's words by its name."""
    found = (word for word in places.words if word.startswith("pcie-root-port"))
    return {word.split("id=")[1].split(",")[0]: word for word in found}


def test_a_card_behind_a_port_and_one_on_the_root_bus_keep_their_addresses() -> None:
    card, port, chip = "pci0000:00/0000:00:01.0/0000:01:00.0", "pci0000:00/0000:00:01.0", "pci0000:00/0000:00:14.0"
    places = place([function(card), bridge(port, 1), function(chip)])
    # A bridge that leads to the card, with other IDs.
    assert places.left_out == {"0000:00:01.0": "the machine has a bridge of its own there"}
    found = {address: (one.bus, one.address) for address, one in places.placements.items()}
    assert found == {"0000:01:00.0": ("port-f0000-00-01-0", "00.0"), "0000:00:14.0": ("pcie.0", "14.0")}
    assert "bus=pcie.0" in ports(places)["port-f0000-00-01-0"]
    assert "addr=01.0" in ports(places)["port-f0000-00-01-0"]


def test_numbers_of_buses_that_the_host_leaves_out_are_reserved() -> None:
    places = place([bridge("pci0000:00/0000:00:1c.0", 5), bridge("pci0000:00/0000:00:1c.4", 9), bridge("pci0000:00/0000:00:1d.0", 10)])
    found = ports(places)
    assert found["gap-pcie-0"].endswith("bus-reserve=3")
    assert found["port-f0000-00-1c-0"].endswith("bus-reserve=3")
    # With nothing to reserve SeaBIOS does not come to an end.
    assert "bus-reserve" not in found["port-f0000-00-1c-4"]


def test_another_root_bus_has_its_number() -> None:
    places = place([bridge("pci0000:3a/0000:3a:00.0", 0x3B), function("pci0000:3a/0000:3a:00.0/0000:3b:00.0")])
    assert any(word.startswith("pxb-pcie,id=root-3a,bus_nr=0x3a,") for word in places.words)
    assert "bus=root-3a" in ports(places)["port-f0000-3a-00-0"]
    assert list(places.placements) == ["0000:3b:00.0"]


@pytest.mark.parametrize(
    ("functions", "address", "why"),
    [
        ([function("pci0001:00/0001:00:01.0")], "0001:00:01.0", "another PCI domain"),
        ([function("pci0000:00/0000:00:00.0")], "0000:00:00.0", "a device of its own at slot 00"),
        ([function("pci0000:00/0000:00:1f.3")], "0000:00:1f.3", "a device of its own at slot 1f"),
        ([function("pci0000:00/0000:00:02.0/0000:01:00.0")], "0000:01:00.0", "the bridge 0000:00:02.0 is not in the machine"),
        ([function("pci0000:00/0000:00:02.1")], "0000:00:02.1", "0000:00:02.0 is not in the machine"),
        ([function("pci0000:00/0000:00:03.0", physical_function="0000:00:02.0")], "0000:00:03.0", "a virtual function"),
        ([function("pci0000:00/0000:00:04.0", vendor=0xFFFF)], "0000:00:04.0", "it cannot be emulated"),
        (
            [bridge("pci0000:00/0000:00:01.0", 1), bridge("pci0000:00/0000:00:01.0/0000:01:00.0", 2)],
            "0000:01:00.0",
            "a bridge behind a bridge",
        ),
    ],
)
def test_what_the_machine_cannot_have_is_named(functions: list[Function], address: str, why: str) -> None:
    places = place(functions)
    assert why in places.left_out[address]
    assert address not in places.placements


def test_windows_have_the_kind_and_size_that_the_kernel_shows_up_to_a_limit() -> None:
    bars = emulated(function("pci0000:00/0000:00:02.0")).bars
    assert [(one.index, one.kind, one.size, one.prefetchable) for one in bars] == [
        (0, "mem32", 16 << 20, False),
        (1, "mem64", LARGEST_WINDOW, True),
        (3, "io", 128, False),
    ]


def test_capabilities_are_those_in_configuration_space() -> None:
    known = PRESETS["h100"].members[0].emulated
    content = ConfigSpace(known).read(0, 256)
    found = emulated(function("pci0000:00/0000:00:02.0", configuration=content.hex())).capabilities
    assert (found.pm, found.msi, found.pcie, found.msix) == (True, 1, True, None)


def test_a_chain_of_capabilities_that_goes_round_ends() -> None:
    content = bytearray(256)
    content[6], content[0x34], content[0x40], content[0x41] = 0x10, 0x40, 0x05, 0x40
    assert emulated(function("pci0000:00/0000:00:02.0", configuration=content.hex())).capabilities.msi == 1

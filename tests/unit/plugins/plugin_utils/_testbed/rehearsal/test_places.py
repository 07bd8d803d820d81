# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each function of a host goes to its own address, or is named with the reason why not."""

from __future__ import annotations

import struct
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.function import PciFunction
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.parts import Capabilities, Msix
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.presets import PRESETS
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.host_function import (
    DOWNSTREAM_PORT,
    EXPRESS_TO_CONVENTIONAL,
    LARGEST_WINDOW,
    ROOT_PORT,
    UPSTREAM_PORT,
    emulated,
)
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.places import MOST_FUNCTIONS, MachinePlaces, place
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


def bridge(path: str, secondary: int, kind: int | None = ROOT_PORT) -> Function:
    """``kind``: of the port in the PCI Express capability; None for conventional PCI."""
    content = bytearray(256)
    content[0x0E], content[0x19] = 1, secondary
    if kind is not None:
        content[0x06], content[0x34], content[0x40], content[0x42] = 0x10, 0x40, 0x10, kind << 4 | 2
    return function(path, configuration=content.hex(), **{"class": 0x060400})


def bridges(places: MachinePlaces) -> dict[str, str]:
    """Each bridge's words by its name."""
    found = (word for word in places.words if word != "-device" and not word.startswith("pxb-pcie"))
    return {word.split("id=")[1].split(",")[0]: word for word in found}


def test_a_card_behind_a_port_and_one_on_the_root_bus_keep_their_addresses() -> None:
    card, port, chip = "pci0000:00/0000:00:01.0/0000:01:00.0", "pci0000:00/0000:00:01.0", "pci0000:00/0000:00:14.0"
    places = place([function(card), bridge(port, 1), function(chip)])
    # A bridge that leads to the card, with other IDs.
    assert places.left_out == {"0000:00:01.0": "the machine has a bridge of its own there"}
    assert places.own == {"0000:00:01.0": ("pci0000:00", "01.0")}
    found = {address: (one.bus, one.address) for address, one in places.placements.items()}
    assert found == {"0000:01:00.0": ("port-f0000-00-01-0", "00.0"), "0000:00:14.0": ("pcie.0", "14.0")}
    assert "bus=pcie.0" in bridges(places)["port-f0000-00-01-0"]
    assert "addr=01.0" in bridges(places)["port-f0000-00-01-0"]


def test_numbers_of_buses_that_the_host_leaves_out_are_reserved() -> None:
    places = place([bridge("pci0000:00/0000:00:1c.0", 5), bridge("pci0000:00/0000:00:1c.4", 9), bridge("pci0000:00/0000:00:1d.0", 10)])
    found = bridges(places)
    assert found["gap-pcie-0-01"].endswith("bus-reserve=3")
    assert found["port-f0000-00-1c-0"].endswith("bus-reserve=3")
    # With nothing to reserve SeaBIOS does not come to an end.
    assert "bus-reserve" not in found["port-f0000-00-1c-4"]


def test_another_root_bus_has_its_number() -> None:
    places = place([bridge("pci0000:3a/0000:3a:00.0", 0x3B), function("pci0000:3a/0000:3a:00.0/0000:3b:00.0")])
    assert any(word.startswith("pxb-pcie,id=root-3a,bus_nr=0x3a,") for word in places.words)
    assert "bus=root-3a" in bridges(places)["port-f0000-3a-00-0"]
    assert list(places.placements) == ["0000:3b:00.0"]
    assert places.moved == {}


def switch(above: str, bus: int, *slots: int) -> list[Function]:
    """A switch behind the port ``above``, with the first number of its buses, and a card with two functions behind each of its ports."""
    up = f"{above}/0000:{bus:02x}:00.0"
    found = [bridge(up, bus + 1, UPSTREAM_PORT)]
    for number, slot in enumerate(slots, bus + 2):
        down = f"{up}/0000:{bus + 1:02x}:{slot:02x}.0"
        found += [bridge(down, number, DOWNSTREAM_PORT), *(function(f"{down}/0000:{number:02x}:00.{one}") for one in (0, 1))]
    return found


def test_cards_behind_a_switch_have_their_addresses() -> None:
    places = place([bridge("pci0000:00/0000:00:01.0", 1), *switch("pci0000:00/0000:00:01.0", 1, 0x00, 0x08)])
    assert bridges(places)["port-f0000-01-00-0"].startswith("x3130-upstream,")
    assert "bus=port-f0000-01-00-0,addr=08.0" in bridges(places)["port-f0000-02-08-0"]
    assert sorted(places.placements) == ["0000:03:00.0", "0000:03:00.1", "0000:04:00.0", "0000:04:00.1"]
    assert places.paths["0000:04:00.1"] == ("pci0000:00", "01.0", "00.0", "08.0", "00.1")


def test_a_bridge_to_conventional_pci_has_all_slots() -> None:
    port, inner = "pci0000:00/0000:00:1c.0", "pci0000:00/0000:00:1c.0/0000:03:00.0"
    places = place(
        [bridge(port, 3), bridge(inner, 4, EXPRESS_TO_CONVENTIONAL), function(f"{inner}/0000:04:00.0"), function(f"{inner}/0000:04:05.0")]
    )
    assert bridges(places)["port-f0000-03-00-0"].startswith("pci-bridge,")
    assert {address: one.address for address, one in places.placements.items()} == {"0000:04:00.0": "00.0", "0000:04:05.0": "05.0"}


@pytest.mark.parametrize(
    ("functions", "address", "why"),
    [
        ([function("pci0001:00/0001:00:01.0")], "0001:00:01.0", "further root buses of the machine have bridges alone"),
        (
            [bridge("pci0001:00/0001:00:01.0", 1), function("pci0001:00/0001:00:01.0/0001:01:00.0")],
            "0001:01:00.0",
            "the PCI domain 0000 alone",
        ),
        (
            [
                function("pci0000:00/0000:00:0e.0"),
                bridge("pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:02.0", 0xE1),
                function("pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:02.0/10000:e1:00.0"),
            ],
            "10000:e1:00.0",
            "the PCI domain 0000 alone",
        ),
        ([function("pci0000:00/0000:00:00.0")], "0000:00:00.0", "a device of its own at 00.0"),
        ([function("pci0000:00/0000:00:1f.3")], "0000:00:1f.3", "a device of its own at 1f.3"),
        ([function("pci0000:40/0000:40:05.0")], "0000:40:05.0", "further root buses of the machine have bridges alone"),
        (
            [bridge("pci0000:00/0000:00:01.0", 1), function("pci0000:00/0000:00:01.0/0000:01:01.0")],
            "0000:01:01.0",
            "the kernel looks at slot 00 alone",
        ),
    ],
)
def test_what_cannot_be_at_its_address_is_at_another_one_and_says_why(functions: list[Function], address: str, why: str) -> None:
    places = place(functions)
    assert why in places.moved[address]
    assert address in places.placements
    assert address not in places.left_out


def test_a_moved_domain_does_not_take_numbers_of_the_hosts_own_buses() -> None:
    own = [bridge("pci0000:c0/0000:c0:01.0", 0xC1), function("pci0000:c0/0000:c0:01.0/0000:ff:00.0")]
    places = place([*own, bridge("pci0001:c0/0001:c0:01.0", 0xC1), function("pci0001:c0/0001:c0:01.0/0001:c1:00.0")])
    assert places.paths["0001:c1:00.0"][0] == "pci0000:be"


def test_the_ports_of_a_slot_without_its_first_function_are_found_on_further_root_buses() -> None:
    """As AMD's: the first function of the slot is a host bridge, which such a bus cannot have."""
    host_bridge = function("pci0000:40/0000:40:01.0", **{"class": 0x060000})
    places = place([host_bridge, bridge("pci0000:40/0000:40:01.1", 0x41), function("pci0000:40/0000:40:01.1/0000:41:00.0")])
    assert places.left_out["0000:40:01.0"] == "the machine has bridges of the chipset of its own"
    assert places.paths["0000:41:00.0"] == ("pci0000:40", "01.0", "00.0")


def test_a_function_of_the_chipsets_slot_that_the_machine_has_free_keeps_its_address() -> None:
    places = place([function("pci0000:00/0000:00:1f.6")])
    assert places.paths["0000:00:1f.6"] == ("pci0000:00", "1f.6")
    assert places.moved == {}


def test_where_there_are_too_many_counters_of_processors_go_first() -> None:
    counters = [function(f"pci0000:7f/0000:7f:{slot:02x}.{one}", **{"class": 0x110100}) for slot in range(32) for one in range(8)]
    card = [bridge("pci0000:80/0000:80:01.0", 0x81), function("pci0000:80/0000:80:01.0/0000:81:00.0")]
    places = place([*counters, *card])
    assert "0000:81:00.0" in places.placements
    assert len(places.placements) == MOST_FUNCTIONS
    assert sum(f"{MOST_FUNCTIONS} functions already" in why for why in places.left_out.values()) == 257 - MOST_FUNCTIONS


@pytest.mark.parametrize(
    ("functions", "address", "why"),
    [
        ([function("pci0000:00/0000:00:02.0/0000:01:00.0")], "0000:01:00.0", "the bridge 0000:00:02.0 is not in the machine"),
        ([function("pci0000:00/0000:00:02.1")], "0000:00:02.1", "0000:00:02.0 is not in the machine"),
        (
            [function("pci0000:00/0000:00:03.0", physical_function="0000:00:02.0")],
            "0000:00:03.0",
            "a virtual function, which the driver of 0000:00:02.0 makes",
        ),
        ([function("pci0000:00/0000:00:04.0", vendor=0xFFFF)], "0000:00:04.0", "it cannot be emulated"),
        ([function("platform/0000:00:04.0")], "0000:00:04.0", "not below a PCI root bus"),
        ([function("pci0000:00/0000:00:00.0", **{"class": 0x060000})], "0000:00:00.0", "bridges of the chipset of its own"),
        (
            [bridge("pci0000:00/0000:00:01.0", 1), bridge("pci0000:00/0000:00:01.0/0000:01:00.0", 2, DOWNSTREAM_PORT)],
            "0000:01:00.0",
            "no bridge of its kind",
        ),
    ],
)
def test_what_the_machine_cannot_have_is_named(functions: list[Function], address: str, why: str) -> None:
    places = place(functions)
    assert why in places.left_out[address]
    assert address not in places.placements
    assert address not in places.moved


def test_windows_have_the_kind_and_size_that_the_kernel_shows_up_to_a_limit() -> None:
    bars = emulated(function("pci0000:00/0000:00:02.0")).bars
    assert [(one.index, one.kind, one.size, one.prefetchable) for one in bars] == [
        (0, "mem32", 16 << 20, False),
        (1, "mem64", LARGEST_WINDOW, True),
        (3, "io", 128, False),
    ]


@pytest.mark.parametrize(("class_code", "registers"), [(0x070002, {0: {4: 0x6000}}), (0x070100, {}), (0x030200, {})])
def test_a_serial_port_has_nothing_left_to_send(class_code: int, registers: dict[int, dict[int, int]]) -> None:
    port = "0x000000000000e000 0x000000000000e007 0x0000000000040101\n"
    assert emulated(function("pci0000:00/0000:00:16.3", resource=port, **{"class": class_code})).registers == registers


def test_a_port_without_its_first_window_has_no_registers() -> None:
    assert emulated(function("pci0000:00/0000:00:16.3", resource="", **{"class": 0x070002})).registers == {}


def test_capabilities_are_those_in_configuration_space() -> None:
    known = PRESETS["h100"].members[0].emulated
    content = ConfigSpace(known).read(0, 256)
    found = emulated(function("pci0000:00/0000:00:02.0", configuration=content.hex()))
    its = found.capabilities
    assert (its.pm, its.msi, its.pcie, its.msix, found.flr) == (True, known.capabilities.msi, True, None, known.flr)


@pytest.mark.parametrize(
    ("vectors", "table", "expected"),
    [(64, 0x1000, Msix(64, 0, 0x1000, 0x8000)), (64, 0xFFFFF0, Msix(1, 0, 0, 0x1000)), (2048, 0x1000, Msix(1, 0, 0, 0x1000))],
)
def test_vectors_are_where_the_host_has_them_if_there_is_room(vectors: int, table: int, expected: Msix) -> None:
    content = bytearray(256)
    content[0x06], content[0x34], content[0x40] = 0x10, 0x40, 0x11
    struct.pack_into("<HII", content, 0x42, vectors - 1, table, 0x8000)
    assert emulated(function("pci0000:00/0000:00:02.0", configuration=content.hex())).capabilities.msix == expected


def test_several_messages_and_resets_of_functions_are_as_on_the_host() -> None:
    like = PciFunction(0x10DE, 0x1DB1, capabilities=Capabilities(msi=8), flr=True)
    found = emulated(function("pci0000:00/0000:00:02.0", configuration=ConfigSpace(like).read(0, 256).hex()))
    assert (found.capabilities.msi, found.flr) == (8, True)


def test_a_chain_of_capabilities_that_goes_round_ends() -> None:
    content = bytearray(256)
    content[6], content[0x34], content[0x40], content[0x41] = 0x10, 0x40, 0x05, 0x40
    assert emulated(function("pci0000:00/0000:00:02.0", configuration=content.hex())).capabilities.msi == 1

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lspci and the kernel say is read as it is meant, and a card that differs from its preset or its dump is noticed."""

from __future__ import annotations

import json

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.presets import PRESETS
from ansible_collections.vfio.variants.tests.presets import command
from ansible_collections.vfio.variants.tests.presets.dumps import DUMPS
from ansible_collections.vfio.variants.tests.presets.seen import described, differences, functions, region_sizes

# As pciutils 3.13 and Linux 6.12 print it; the second card has a region for which there was no room.
LSPCI = """0000:01:00.0 3D controller [0302]: NVIDIA Corporation GA100 [A100 PCIe 40GB] [10de:20f1] (rev a1)
\tSubsystem: NVIDIA Corporation Device [10de:145f]
\tControl: I/O- Mem+ BusMaster- SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx-
\tRegion 0: Memory at fd000000 (32-bit, non-prefetchable) [size=16M]
\tRegion 1: Memory at 7000000000 (64-bit, prefetchable) [size=64G]
\tRegion 3: Memory at <unassigned> (64-bit, prefetchable) [disabled]
\tCapabilities: [40] Power Management version 3

0000:02:00.0 Non-Volatile memory controller [0108]: Red Hat, Inc. QEMU NVM Express Controller [1b36:0010] \
(rev 02) (prog-if 02 [NVM Express])
\tSubsystem: Red Hat, Inc. QEMU NVM Express Controller [1af4:1100]
\tRegion 0: Memory at fe000000 (64-bit, non-prefetchable) [size=16K]
"""
RESOURCES = "".join(
    f"/sys/bus/pci/devices/0000:01:00.0/resource:{line}\n"
    for line in (
        "0x00000000fd000000 0x00000000fdffffff 0x0000000000040200",
        "0x0000007000000000 0x0000007fffffffff 0x000000000014220c",
        "0x0000000000000000 0x0000000000000000 0x0000000000000000",
        "0x0000000000000000 0x0000000001ffffff 0x000000002014220c",
        "0x0000000000000000 0x0000000000000000 0x0000000000000000",
    )
)


def test_a_function_is_read_with_sizes_of_regions_that_have_no_place() -> None:
    card, disk = list(functions(LSPCI, RESOURCES).values())
    assert (card.id, card.class_code, card.subsystem, card.revision) == ("10de:20f1", "030200", "10de:145f", "a1")
    assert card.bars == {0: "32 16M", 1: "64p 64G", 3: "64p 32M"}
    assert (disk.name, disk.class_code, disk.bars) == ("Red Hat, Inc. QEMU NVM Express Controller", "010802", {})
    assert region_sizes(RESOURCES)["0000:01:00.0"][3] == 32 << 20


def test_a_line_that_is_not_understood_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"not understood: 01:00\.0 something"):
        functions("01:00.0 something", "")


def test_a_card_that_is_not_as_described_is_noticed_field_by_field() -> None:
    (preset,) = PRESETS["a100"].members
    card = functions(LSPCI, RESOURCES)["0000:01:00.0"]
    assert list(differences(described(preset.emulated, ""), card)) == []
    other = functions(LSPCI.replace("145f", "1460").replace("20f1", "20b0"), RESOURCES)["0000:01:00.0"]
    assert list(differences(described(preset.emulated, ""), other)) == [
        "id is 10de:20b0, not 10de:20f1",
        "subsystem is 10de:1460, not 10de:145f",
    ]


@pytest.mark.parametrize("name", DUMPS)
def test_a_preset_agrees_with_its_public_dump(name: str) -> None:
    (preset,) = PRESETS[name].members
    told, dump = described(preset.emulated, ""), DUMPS[name]
    shown = [field for field in ("id", "class_code", "subsystem", "revision", "bars") if getattr(dump, field)]
    assert "bars" in shown
    assert {field: getattr(told, field) for field in shown} == {field: getattr(dump, field) for field in shown}


def test_every_function_of_every_preset_is_asked_for() -> None:
    assert len(command.emulated()) == sum(len(preset.members) for preset in PRESETS.values())
    assert {"a100", "two-v100-1", "two-v100-2", "connectx7-two-ports-port1"} <= command.emulated().keys()


def test_no_machine_has_more_cards_than_it_has_addresses_for() -> None:
    machines = command.machines()
    assert [one for several in machines for one in several if one not in command.wanted()] == []
    assert sum(len(several) for several in machines) == len(PRESETS)
    assert max(command.needed(several) for several in machines) <= command.WINDOW
    # A V100 beside an H100 has to begin at a multiple of its 16 GiB.
    assert command.needed([{"id": "a", "preset": "v100"}, {"id": "b", "preset": "h100"}]) == (144 << 30) + (16 << 30) + (32 << 20)


def test_what_the_machines_said_last_is_as_the_presets_and_the_dumps_say() -> None:
    said = json.loads(command.OBSERVED.read_text(encoding="utf-8"))
    found = command.compared(said)
    assert found.keys() == command.emulated().keys()
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_a_card_that_a_machine_did_not_have_is_a_fault() -> None:
    assert command.compared([])["a100"] == ["the guest has no such function"]


def test_what_is_kept_is_about_the_cards_alone() -> None:
    said = {
        "functions": [{"id": "a", "address": "0000:01:00.0", "log": "/a.log"}],
        "lspci": LSPCI,
        "regions": RESOURCES + RESOURCES.replace(":01:", ":02:"),
    }
    kept = command.about_cards(said)
    assert kept["functions"] == [{"id": "a", "address": "0000:01:00.0"}]
    assert list(functions(kept["lspci"], kept["regions"])) == ["0000:01:00.0"]
    assert kept["regions"].splitlines() == RESOURCES.splitlines()

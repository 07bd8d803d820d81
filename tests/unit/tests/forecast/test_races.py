# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from configuration import Configuration
from races import force_order

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import RACE, Reason, Winner

SECOND, CARD, ACCELERATOR = "0000:00:02.0", "0000:00:03.0", "0000:00:0b.0"
MODALIAS = {SECOND: "pci:v00008086d000010D3sv", CARD: "pci:v00008086d000010D3sv", ACCELERATOR: "pci:v00001234d000011E8sv"}
PLAIN = Configuration("plain", "6.12", cmdline=("quiet",), root_files={"/etc/modules": "loop\n"})
RULE = Reason("/etc/udev/rules.d/70-vfio.rules:1", "driver_override=vfio-pci")
NATIVE = Reason("modules.alias of 6.12", "pci:v00008086d000010D3sv* e1000e")
RIVAL = Reason("or rival_pci", "modules.alias of 6.12: pci:v00001234d000011E8sv* rival_pci")


def test_the_event_of_the_device_for_which_the_rival_is_loaded_goes_first() -> None:
    race = Winner("e1000e", RACE, "root", (NATIVE, RIVAL), ("e1000e", "rival_pci"))
    name, variation = next(iter(force_order(PLAIN, MODALIAS, CARD, race, "rival_pci")))
    assert name == f"event of {ACCELERATOR} first"
    (rule,) = (text for path, text in variation.root_files.items() if path.endswith(".rules"))
    assert f'KERNEL!="{ACCELERATOR}", PROGRAM=' in rule
    assert variation.root_files["/etc/modules"] == "loop\n"


def test_a_rule_for_the_device_itself_wins_when_its_own_event_goes_first() -> None:
    race = Winner("e1000e", RACE, "root", (NATIVE, Reason("or vfio-pci", str(RULE))), ("e1000e", "vfio-pci"))
    assert next(iter(force_order(PLAIN, MODALIAS, CARD, race, "vfio-pci")))[0] == f"event of {CARD} first"


def test_the_identical_card_goes_first_where_it_loads_the_native() -> None:
    race = Winner("vfio-pci", RACE, "root", (RULE, Reason("or e1000e", str(NATIVE))), ("vfio-pci", "e1000e"))
    assert next(iter(force_order(PLAIN, MODALIAS, CARD, race, "e1000e")))[0] == f"event of {SECOND} first"


def test_no_variation_is_booted_under_the_name_of_another() -> None:
    race = Winner("e1000e", RACE, "root", (NATIVE, RIVAL), ("e1000e", "rival_pci"))
    variations = list(force_order(PLAIN, MODALIAS, CARD, race, "rival_pci"))
    assert len({one.name for _name, one in variations}) == len(variations) > 3
    assert "lists first" in {name for name, _one in variations}

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual functions, where it is not certain what has their card, or their own driver."""

from __future__ import annotations

import dataclasses

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import CERTAIN, RACE, UNKNOWN, ModuleFacts
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciDriver, PciId
from ansible_collections.vfio.variants.tests.unit.boots import boot
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.forecast.test_forecast import (
    IGB,
    OVERRIDE,
    PF,
    STOCK_RULES,
    VFS,
    rules,
)

VF = VFS[0]


def test_a_card_that_two_drivers_race_for_has_virtual_functions_or_not() -> None:
    """Whichever of the outcomes is the likelier one of the card."""
    given = rules(OVERRIDE.format(PF.address, "vfio-pci", "vfio-pci"))
    won = forecast([PF, VF], boot(rules=given, modules=IGB, load=["igb"]))
    assert (won[PF.address].certainty, set(won[PF.address].outcomes)) == (RACE, {"igb", "vfio-pci"})
    assert (won[VF.address].certainty, set(won[VF.address].outcomes)) == (RACE, {None, "igbvf"})
    late = boot(rules=STOCK_RULES, modules=IGB, modprobe="options vfio-pci ids=8086:10c9\n", load=["vfio-pci"])
    won = forecast([PF, VF], late)
    assert set(won[PF.address].outcomes) == {"igb", "vfio-pci"}
    assert set(won[VF.address].outcomes) == {None, "igbvf"}


def test_a_driver_that_is_there_before_them_may_decline_them() -> None:
    driver = PciDriver("igbvf", (PciId(0x8086, 0x10CA),))
    facts = {"igbvf": ModuleFacts((driver,), doubt="igbvf.ko cannot be read.")}
    won = forecast([PF, VF], boot(rules=STOCK_RULES, modules=IGB, load=["igbvf"], facts=facts))
    assert (won[PF.address].certainty, won[VF.address].certainty) == (CERTAIN, UNKNOWN)
    assert "igbvf.ko cannot be read." in str(won[VF.address].because[-1])


def test_those_of_a_card_that_is_alike_are_those_of_another_card() -> None:
    second = dataclasses.replace(PF, address="0000:04:00.0")
    other = dataclasses.replace(VF, address="0000:04:10.0", physical_function=second.address)
    found = boot(rules=rules(OVERRIDE.format(second.address, "vfio-pci", "vfio-pci")), modules=IGB)
    won = forecast([PF, second, VF, other], found)
    assert [won[one.address].driver for one in (PF, second, VF, other)] == ["igb", "vfio-pci", "igbvf", None]

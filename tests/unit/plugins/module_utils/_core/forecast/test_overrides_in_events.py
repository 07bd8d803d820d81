# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rules make of a boot that ask for the override, or for what tells one device of a kind from another."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import INITRAMFS, ROOT
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.tests.unit.boots import boot, device, stage
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.forecast.test_udev_events import (
    CARD,
    COLDPLUG,
    LOAD_VFIO,
    NATIVE,
    NOBODY,
    OTHER,
    TAKE,
    VFIO,
    boot_with,
    owners,
    owners_in,
    winners,
)

TOOK = 'ATTR{driver_override}=="vfio-pci"'


@pytest.mark.parametrize(
    ("rules", "right"),
    [
        (f'KERNEL=="0000:01:00.0", ATTR{{driver_override}}=="(null)", {TAKE}', VFIO),
        (f'KERNEL=="0000:01:00.0", ATTR{{driver_override}}!="vfio-pci", {TAKE}', VFIO),
        (f'KERNEL=="0000:01:00.0", ATTR{{driver_override}}!="?*", {TAKE}', NATIVE),
        (f'KERNEL=="0000:01:00.0", ATTR{{driver_override}}=="", {TAKE}', NATIVE),
        (f'KERNEL=="0000:01:00.0", ATTR{{driver_override}}="vfio-pci"\nKERNEL=="0000:01:00.0", {TOOK}, {LOAD_VFIO}', VFIO),
        (f'KERNEL=="0000:01:00.0", {TOOK}, GOTO="end"\nKERNEL=="0000:01:00.0", {TAKE}\nLABEL="end"', VFIO),
        (f'KERNEL=="0000:01:00.0", ATTR{{driver_override}}=="(null)", GOTO="end"\nKERNEL=="0000:01:00.0", {TAKE}\nLABEL="end"', NATIVE),
        (f'KERNEL=="0000:01:00.0", TEST{{0200}}=="driver_override", {TAKE}', VFIO),
        (f'ATTR{{uevent}}=="*PCI_SLOT_NAME=0000:01:00.0*", {TAKE}', VFIO),
        ('KERNEL=="0000:01:00.0", KERNELS=="0000:00:01.0", ATTR{driver_override}="$driver"', NOBODY),
    ],
)
def test_an_override_is_asked_for_before_it_is_set_and_afterwards(rules: str, right: tuple[str | None, str]) -> None:
    assert owners(f"{rules}\n") == [right, NATIVE]


def test_what_the_initramfs_has_set_is_there_at_the_root_s_own_events() -> None:
    early = stage(INITRAMFS, rules='KERNEL=="0000:01:00.0", ATTR{driver_override}="vfio-pci"\n')
    drop = f'KERNEL=="0000:01:00.0", {TOOK}, ATTR{{driver_override}}="nouveau"\n'
    rules = {"/etc/udev/rules.d/70-drop.rules": drop, "/usr/lib/udev/rules.d/80-drivers.rules": COLDPLUG}
    (owned,) = owners_in(boot(early, stage(ROOT, rules=rules)), CARD)
    (left,) = owners_in(boot(early, stage(ROOT, rules=COLDPLUG)), CARD)
    assert (owned, left) == (NATIVE, NOBODY)


@pytest.mark.parametrize("asks", ["", 'ATTR{driver_override}=="(null)", ', 'ATTR{driver_override}!="vfio-pci", '])
def test_a_virtual_function_s_own_rule_may_come_before_or_after_its_native(asks: str) -> None:
    owner = device("0000:05:00.0", "8086:10d3", class_code=0x020000, driver="e1000e", max_virtual_functions=2)
    function = device("0000:05:10.0", "8086:10d3", class_code=0x020000, physical_function=owner.address)
    found = forecast((owner, function), boot_with(f'KERNEL=="0000:05:10.0", {asks}{TAKE}\n'))
    assert set(found[function.address].outcomes) >= {"e1000e", "vfio-pci"}


@pytest.mark.parametrize(
    "rules",
    [
        f'ATTR{{uevent}}=="*PCI_SLOT_NAME=0000:02:00.0*", {TAKE}',
        f'ATTR{{uevent}}!="*PCI_SLOT_NAME=0000:01:00.0*", ATTR{{vendor}}=="0x10de", {TAKE}',
        f'ATTR{{vendor}}=="0x10de", ENV{{A}}="$name"\nENV{{A}}=="0000:02:00.0", {TAKE}',
        f'KERNELS=="0000:0*:00.0", ATTR{{vendor}}=="0x10de", ENV{{A}}="$id"\nENV{{A}}=="0000:02:00.0", {TAKE}',
        f'SUBSYSTEM=="pci", IMPORT{{builtin}}="path_id"\nENV{{ID_PATH}}=="pci-0000:02:00.0", {TAKE}',
    ],
)
def test_identical_cards_are_told_apart_by_what_such_a_key_asks(rules: str) -> None:
    found = winners(boot_with(f"{rules}\n"))
    assert found[CARD.address].outcomes == ("nouveau",)
    assert "vfio-pci" in found[OTHER.address].outcomes


def test_what_the_device_above_gives_tells_identical_cards_apart() -> None:
    won = winners(boot_with(f'ATTR{{vendor}}=="0x10de", IMPORT{{parent}}=="PCI_ID", {TAKE}\n'))
    assert won[CARD.address].outcomes != won[OTHER.address].outcomes

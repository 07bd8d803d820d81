# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Once modules are forbidden a device keeps the driver that it has, also where something was to give it another one."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import CERTAIN, INITRAMFS, UNKNOWN, Assigned, Boot, Later
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
from ansible_collections.vfio.variants.tests.unit.boots import boot, device, stage

COLDPLUG = {"/usr/lib/udev/rules.d/80-drivers.rules": 'ACTION=="add", ENV{MODALIAS}=="?*", RUN{builtin}+="kmod load"\n'}
CARD, NETWORK = device(), device("0000:03:00.0", "8086:10d3", class_code=0x020000)
TAKE = (
    'ACTION=="add", KERNEL=="0000:01:00.0", ATTR{driver_override}="vfio-pci", ATTR{driver/unbind}="%k",'
    ' ATTR{[drivers/pci:vfio-pci]bind}="%k", RUN{builtin}+="kmod load vfio-pci"\n'
)
RULE = {**COLDPLUG, "/etc/udev/rules.d/90-site.rules": TAKE}
LOCK = Influence("/etc/sysctl.d/lock.conf:1", "sets kernel.modules_disabled", frozenset(("lock",)))
EARLY = ("the initramfs", "the whole boot")
LATE = ("the root stage", "after the boot")
DRIVERCTL = {CARD.address: Assigned("vfio-pci", "/etc/driverctl.d/pci-0000:01:00.0")}


def rebinding(way: str, place: str = "", *, is_loaded: bool = False, lock: Influence = LOCK) -> Boot:
    """A boot whose initramfs binds the card to nouveau, and whose root stage or driverctl then gives it to vfio-pci."""
    first = stage(INITRAMFS, rules=COLDPLUG, load=("vfio-pci",) if is_loaded else ())
    second = stage(rules=RULE if way == "a rule" else COLDPLUG)
    if place == "the initramfs":
        first = dataclasses.replace(first, influences=(lock,))
    if place == "the root stage":
        second = dataclasses.replace(second, influences=(lock,))
    later = Later(driverctl=DRIVERCTL if way == "driverctl" else {}, influences=(lock,) if place == "after the boot" else ())
    found = boot(first, second, later=later)
    return dataclasses.replace(found, influences=(lock,)) if place == "the whole boot" else found


def answer(found: Boot, address: str = CARD.address) -> tuple[str, set[str | None]]:
    winner = forecast((CARD, NETWORK), found)[address]
    return winner.certainty, set(winner.outcomes)


@pytest.mark.parametrize("way", ["a rule", "driverctl"])
def test_without_a_lock_the_card_changes_its_driver(way: str) -> None:
    assert answer(rebinding(way)) == (CERTAIN, {"vfio-pci"})


@pytest.mark.parametrize(
    ("way", "place"),
    [*(("driverctl", place) for place in (*EARLY, *LATE)), *(("a rule", place) for place in (*EARLY, "the root stage"))],
)
def test_where_modules_may_be_forbidden_first_the_card_may_keep_its_driver_or_lose_it(way: str, place: str) -> None:
    assert answer(rebinding(way, place)) == (UNKNOWN, {"vfio-pci", "nouveau", None})


@pytest.mark.parametrize("way", ["a rule", "driverctl"])
@pytest.mark.parametrize("place", LATE)
def test_what_was_loaded_before_needs_no_module(way: str, place: str) -> None:
    assert answer(rebinding(way, place, is_loaded=True)) == (CERTAIN, {"vfio-pci"})


@pytest.mark.parametrize("place", LATE)
def test_a_device_that_nothing_rebinds_keeps_its_driver_for_certain(place: str) -> None:
    assert answer(rebinding("a rule", place), NETWORK.address) == (CERTAIN, {"e1000e"})


def test_what_comes_after_the_events_of_devices_comes_too_late() -> None:
    assert answer(rebinding("a rule", "after the boot")) == (CERTAIN, {"vfio-pci"})


def test_a_lock_of_the_initramfs_keeps_free_devices_free() -> None:
    assert answer(rebinding("a rule", "the initramfs"), NETWORK.address) == (UNKNOWN, {"e1000e", None})

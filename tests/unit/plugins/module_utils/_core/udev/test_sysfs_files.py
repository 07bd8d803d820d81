# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rules ask of files, of other functions, and of the override."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.udev.answers import EventState, KeysMatch, match_keys
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.event_context import Files
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import Subject
from ansible_collections.vfio.variants.tests.unit.boots import device
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.udev.test_answers import (
    AROUND,
    CARD,
    EVENT,
    OTHERS,
    ROOT,
    answer,
    keys,
)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('TEST=="/etc/vfio"', True),
        ('TEST!="/etc/vfio"', False),
        ('TEST=="/etc/gone"', False),
        ('TEST!="/etc/gone"', True),
        ('TEST=="/srv/x"', None),
        ('TEST=="/etc/v*"', None),
        ('TEST=="/run/vfio"', None),
        ('TEST{0111}=="/etc/vfio"', None),
        ('TEST{0111}=="/etc/gone"', False),
        ('TEST=="/etc/$env{X}"', True),
        ('TEST=="/etc/$env{SEQNUM}"', None),
        ('TEST=="driver_override"', True),
        ('TEST=="physfn"', False),
        ('TEST=="no_such"', None),
        ('TEST=="[pci/0000:01:00.0]vendor"', True),
        ('TEST=="[pci/0000:01:00.0]"', True),
        ('TEST=="[pci/0000:09:00.0]"', False),
        ('TEST=="[pci/0000:01:00.0]/sriov_numvfs"', False),
        ('TEST=="[net/eth0]"', None),
        ('TEST=="/sys/bus/pci/devices/0000:01:00.0"', True),
        ('TEST=="/sys/bus/pci/devices/0000:09:00.0/vendor"', False),
        ('TEST=="/sys/bus/pci/devices/$kernel/vendor"', True),
        ('TEST=="/sys$devpath/driver_override"', True),
        ('TEST=="/sys$devpath/physfn"', False),
        (f'TEST=="/sys{ROOT}/0000:00:01.0/0000:01:00.0"', True),
        (f'TEST=="/sys{ROOT}/0000:00:01.0/0000:01:00.0/sriov_numvfs"', False),
        (f'TEST=="/sys{ROOT}/0000:01:00.0/vendor"', None),
        ('TEST=="/sys/bus/pci/drivers/vfio-pci"', None),
        ('TEST{0200}=="driver_override"', True),
        ('TEST{0200}!="driver_override"', False),
        ('TEST{0111}=="driver_override"', False),
        ('TEST{0222}=="vendor"', False),
        ('TEST{0444}=="[pci/0000:01:00.0]vendor"', True),
        ('TEST{0200}=="rescan"', True),
        ('TEST{0020}=="rescan"', None),
        ('TEST{0200}=="sriov_numvfs"', False),
        ('TEST{0100}=="/etc/program"', True),
        ('TEST{0022}=="/etc/program"', False),
        ('TEST{0111}!="/etc/gone"', True),
    ],
)
def test_a_file_is_looked_for_by_its_path_or_below_the_device(text: str, holds: bool | None) -> None:
    around = dataclasses.replace(AROUND, files=Files({"/etc": frozenset(("vfio", "program"))}, modes={"/etc/program": 0o755}))
    assert answer(text, around=around, state=EventState(properties={"X": "vfio"})) is holds


def test_a_virtual_function_need_not_be_there_when_another_device_s_event_comes() -> None:
    virtual = device("0000:03:00.1", physical_function="0000:02:00.0")
    around = dataclasses.replace(AROUND, others={**OTHERS, virtual.address: virtual})
    for text in ('TEST=="[pci/0000:03:00.1]"', 'TEST!="/sys/bus/pci/devices/0000:03:00.1"', 'ATTR{[pci/0000:03:00.1]vendor}=="x"'):
        assert answer(text, around=around) is None
    assert answer('ATTR{[pci/0000:03:00.1]vendor}=="0x10de"', Subject.of(virtual, around.others), around) is True


def test_a_virtual_function_shows_what_its_physical_one_has() -> None:
    physical = dataclasses.replace(CARD, max_virtual_functions=4)
    virtual = device("0000:03:00.1", physical_function=CARD.address)
    event = Subject.of(virtual, {CARD.address: physical, virtual.address: virtual})
    assert answer('ATTR{physfn/vendor}=="0x10de", ATTR{physfn/sriov_totalvfs}=="4", TEST=="physfn/sriov_numvfs"', event) is True
    assert answer('ATTR{physfn/vendor}=="0x10de"', Subject.of(virtual)) is None
    assert answer('TEST=="physfn/vendor"', Subject.of(virtual)) is None


def test_an_override_is_compared_with_the_one_before_the_event_until_a_rule_writes_it() -> None:
    text = 'ATTR{driver_override}=="(null)"'
    state = EventState()
    assert match_keys(keys(text), EVENT, AROUND, state) == KeysMatch(True, keys(text))
    assert state.has_asked_override
    assert [answer(text, state=EventState(override=written)) for written in ("(null)", "vfio-pci", None)] == [True, False, None]
    assert answer('ATTRS{driver_override}=="x"') is None


@pytest.mark.parametrize("name", ["boot_vga", "numa_node", "sriov_totalvfs"])
def test_what_only_some_functions_have_is_not_taken_for_granted(name: str) -> None:
    card = device("0000:03:00.0", "8086:10d3", class_code=0x020000)
    assert answer(f'TEST=="{name}"', Subject.of(card)) is not True

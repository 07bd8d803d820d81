# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""By which facts rules can treat one device otherwise than another of the same identity."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.distinctions import Distinctions
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.event_context import EventContext
from ansible_collections.vfio.variants.tests.unit.boots import device, udev_rules

ROOT = "/devices/pci0000:00"
PORTS = [device(f"0000:00:0{n}.0", "8086:1901", class_code=0x060400, path=f"{ROOT}/0000:00:0{n}.0") for n in (1, 2)]
FIRST = device("0000:01:00.0", path=f"{ROOT}/0000:00:01.0/0000:01:00.0", numa_node=0)
SECOND = device("0000:02:00.0", path=f"{ROOT}/0000:00:02.0/0000:02:00.0", numa_node=1)
OTHERS = {one.address: one for one in (*PORTS, FIRST, SECOND)}
TAKE = 'ATTR{driver_override}="x"'


def apart(rules: str) -> bool:
    """Whether the rules may treat the two cards differently."""
    found = Distinctions.of(udev_rules(f"{rules}\n").rules, EventContext(others=OTHERS, complete=True))
    return found.key(FIRST) != found.key(SECOND)


@pytest.mark.parametrize(
    ("rule", "answer"),
    [
        (TAKE, False),
        (f'KERNEL=="0000:01:00.0", {TAKE}', True),
        (f'KERNEL=="0000:03:00.0", {TAKE}', False),
        (f'KERNEL=="0000:01:*", {TAKE}', True),
        (f'KERNEL=="0000:0[12]:*", {TAKE}', False),
        (f'KERNEL==i"0000:01:00.0", {TAKE}', True),
        (f'ENV{{PCI_SLOT_NAME}}=="0000:02:00.0", {TAKE}', True),
        (f'DEVPATH=="*/0000:00:01.0/*", {TAKE}', True),
        (f'DEVPATH=="*/pci0000:00/*", {TAKE}', False),
        (f'TEST=="[pci/0000:01:00.0]x", {TAKE}', False),
        (f'ATTR{{numa_node}}=="1", {TAKE}', True),
        (f'ATTR{{vendor}}=="0x10de", {TAKE}', False),
        (f'ATTR{{sriov_totalvfs}}=="7", {TAKE}', False),
        (f'ATTRS{{numa_node}}=="1", {TAKE}', True),
        (f'ATTRS{{vendor}}=="0x10de", {TAKE}', False),
        (f'KERNELS=="0000:00:01.0", {TAKE}', True),
        (f'KERNELS=="0000:00:03.0", {TAKE}', False),
        (f'KERNELS=="pci0000:00", {TAKE}', False),
        (f'KERNELS=="0000:01:00.0", {TAKE}', True),
        (f'KERNELS=="0000:00:01.*", {TAKE}', True),
        (f'KERNELS=="0000:00:01.0", SUBSYSTEMS=="pci", {TAKE}', True),
        (f'KERNELS=="0000:01:00.0", DRIVERS=="x", {TAKE}', True),
        ('ATTR{driver_override}="%k"', False),
        ('ATTR{driver_override}="$kernel"', False),
        ('ATTR{driver_override}="a%k"', True),
        ('ATTR{driver_override}="%n"', True),
        ('ATTR{driver_override}="$env{PCI_SLOT_NAME}"', True),
        ('ATTR{driver_override}="$env{MODALIAS}"', False),
        ('ATTR{driver_override}="$attr{modalias}"', False),
        ('ATTR{driver_override}="%p"', True),
        ('ATTR{driver_override}="$$%%"', False),
        ('ATTR{driver_override}=="%p", RUN+="/x"', False),
        ('ENV{X}="%p"', False),
        ('RUN+="/usr/local/sbin/x %p"', False),
        ('RUN+="/sbin/modprobe %p"', True),
        ('RUN{builtin}+="kmod load %p"', True),
        ('IMPORT{program}="/sbin/modprobe %b"', True),
        ('PROGRAM="/x %p"', False),
    ],
)
def test_two_cards_of_one_identity_are_told_apart_by(rule: str, answer: bool) -> None:
    assert apart(rule) is answer


def test_a_tag_with_the_device_s_name_tells_apart_where_a_rule_asks_for_tags() -> None:
    tags = 'TAG+="of-%k"\n'
    assert apart(f'{tags}TAG=="of-0000:01:00.0", {TAKE}')
    assert not apart(f"{tags}{TAKE}")
    assert not apart(f'TAG+="ours"\nTAG=="of-0000:01:00.0", {TAKE}')


def test_another_identity_or_revision_is_always_told_apart() -> None:
    found = Distinctions.of((), EventContext(others=OTHERS))
    assert found.key(FIRST) == found.key(SECOND)
    assert found.key(FIRST) != found.key(dataclasses.replace(FIRST, revision=1))
    assert found.key(FIRST) != found.key(dataclasses.replace(FIRST, modalias="x"))


def test_addresses_that_something_else_names_are_told_apart() -> None:
    found = Distinctions.of((), EventContext(others=OTHERS), (FIRST.address,))
    assert found.key(FIRST) != found.key(SECOND)

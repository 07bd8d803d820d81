# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What decides about a device, and need not show itself where the device's driver cannot probe it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import CERTAIN, UNKNOWN, Later
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.hidden_cause import CHILD, HiddenCause
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.hidden_causes import hidden_causes
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
from ansible_collections.vfio.variants.tests.unit.boots import boot, device

CARD, OTHER = device("0000:01:00.0"), device("0000:02:00.0", "8086:10d3", class_code=0x020000)
HOST = (CARD, OTHER)
FILE = "/etc/udev/rules.d/70-site.rules"
COLDPLUG = {"/usr/lib/udev/rules.d/80-drivers.rules": 'ACTION=="add", ENV{MODALIAS}=="?*", RUN{builtin}+="kmod load"\n'}


def found(rule: str = "", *programs: Influence) -> dict[str, list[HiddenCause]]:
    whole = boot(rules={**COLDPLUG, FILE: f"{rule}\n"}, later=Later(influences=programs))
    return {address: list(causes) for address, causes in hidden_causes(HOST, whole, forecast(HOST, whole)).items() if causes}


@pytest.mark.parametrize(
    ("rule", "whose", "event"),
    [
        (f'ACTION=="bind", KERNEL=="{CARD.address}", ATTR{{driver/unbind}}="{CARD.address}"', CARD, "bind"),
        (f'ACTION=="unbind", KERNEL=="{CARD.address}", ATTR{{driver_override}}="vfio-pci"', CARD, "unbind"),
        (f'ACTION!="remove", KERNEL=="{CARD.address}", ATTR{{driver/unbind}}="{CARD.address}"', CARD, "bind"),
    ],
)
def test_a_rule_that_acts_when_a_driver_comes_or_goes(rule: str, whose: t.Any, event: str) -> None:
    known = found(rule)
    assert list(known) == [whose.address]
    assert {(one.source, one.event, one.device) for one in known[whose.address]} >= {(f"{FILE}:1", event, whose.address)}


def test_what_such_an_event_does_to_another_device_is_about_that_one() -> None:
    rule = f'ACTION=="bind", KERNEL=="{CARD.address}", ATTR{{[pci/{OTHER.address}]driver_override}}="vfio-pci"'
    assert {address: [one.device for one in causes] for address, causes in found(rule).items()} == {OTHER.address: [CARD.address]}


def test_what_such_an_event_needs_a_driver_for_names_the_driver() -> None:
    (cause,) = found(f'ACTION=="bind", KERNEL=="{CARD.address}", DRIVER=="nouveau", ATTR{{driver/unbind}}="{CARD.address}"')[CARD.address]
    assert cause.drivers == ("nouveau",)
    asked = 'DRIVER=="nouveau", ATTR{driver_override}=="vfio-pci"'
    (cause,) = found(f'ACTION=="bind", KERNEL=="{CARD.address}", {asked}, ATTR{{driver/unbind}}="{CARD.address}"')[CARD.address]
    assert cause.drivers == ("nouveau",)


@pytest.mark.parametrize(
    "rule",
    [
        f'ACTION=="add", KERNEL=="{CARD.address}", ATTR{{driver_override}}="vfio-pci"',
        f'ACTION=="add|bind", KERNEL=="{CARD.address}", ATTR{{driver_override}}="vfio-pci"',
        f'ACTION=="bind", KERNEL=="{CARD.address}", GROUP="kvm"',
        'ACTION=="bind", KERNEL=="0000:99:00.0", ATTR{driver_override}="vfio-pci"',
    ],
)
def test_nothing_is_hidden_that_the_first_event_does_or_that_no_driver_depends_on(rule: str) -> None:
    assert found(rule) == {}


@pytest.mark.parametrize(
    ("rule", "fact"),
    [
        (f'SUBSYSTEM=="net", KERNELS=="{OTHER.address}", ATTR{{device/driver/unbind}}="{OTHER.address}"', "unbind"),
        (f'SUBSYSTEM=="net", KERNELS=="{OTHER.address}", ATTR{{device/driver_override}}="vfio-pci"', "driver_override"),
        (f'SUBSYSTEM=="block", ATTR{{[pci/{OTHER.address}]driver/unbind}}="{OTHER.address}"', "unbind"),
        (f'SUBSYSTEM=="drm", RUN+="/bin/sh -c \'echo 1 >/sys/bus/pci/devices/{OTHER.address}/remove\'"', "remove"),
    ],
)
def test_a_rule_that_acts_when_an_interface_or_a_disk_comes(rule: str, fact: str) -> None:
    known = found(f'ACTION=="add", {rule}')
    assert {(one.source, one.event, one.device) for one in known[OTHER.address]} == {(f"{FILE}:1", CHILD, OTHER.address)}
    assert fact in known[OTHER.address][0].fact


def test_a_program_that_matters_is_named_with_what_it_may_do() -> None:
    program = Influence("/etc/rc.local:3", "writes to unbind", frozenset(("unbind",)), addresses=frozenset((CARD.address,)))
    assert found("", program) == {CARD.address: [HiddenCause("/etc/rc.local:3", "writes to unbind", ("unbind",))]}


def test_a_program_that_cannot_change_the_owner_is_left_out() -> None:
    assert found("", Influence("/etc/rc.local:3", "loads e1000e", frozenset(("load",)), modules=frozenset(("e1000e",)))) == {}


def test_a_program_of_a_rule_that_runs_when_a_driver_comes_has_the_event_s_device() -> None:
    load = 'ACTION=="bind", SUBSYSTEM=="pci", RUN+="/bin/sh -c \'$(cat /run/x)\'"'
    whole = boot(rules={**COLDPLUG, FILE: f"{load}\n"})
    winners = forecast(HOST, whole)
    causes = hidden_causes(HOST, whole, winners)
    assert winners[CARD.address].certainty == UNKNOWN
    assert {(one.event, one.device) for one in causes[CARD.address]} == {("bind", CARD.address)}


def test_a_driver_whose_table_has_not_the_device_decides_by_its_probe() -> None:
    rule = f'ACTION=="add", KERNEL=="{CARD.address}", ATTR{{driver_override}}="e1000e", RUN{{builtin}}+="kmod load e1000e"'
    (cause,) = found(rule)[CARD.address]
    assert (cause.source, cause.event, cause.device, cause.drivers) == ("e1000e", "probe", CARD.address, ("e1000e",))


def test_of_a_certain_answer_nothing_is_hidden_but_such_rules() -> None:
    whole = boot(rules=COLDPLUG)
    winners = forecast(HOST, whole)
    assert {one.certainty for one in winners.values()} == {CERTAIN}
    assert hidden_causes(HOST, whole, winners) == {CARD.address: (), OTHER.address: ()}

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What udev does at the events of drivers, modules and the bus, and when drivers come and go."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Coldplug
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.compared_rules import ComparedRules
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import DeviceState, Registration
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import Bind, Noticed, SetOverride, plain
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import LoadRequest, Modprobe
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.stage_events import (
    StageEvents,
    depend_on_driver,
    stage_events,
)
from ansible_collections.vfio.variants.tests.unit.boots import boot, device, udev_rules

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import Effect
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence

CARD = device("0000:01:00.0")
OTHER = device("0000:02:00.0", "8086:10d3", class_code=0x020000)
TAKE = 'ATTR{[drivers/pci:vfio-pci]bind}="0000:01:00.0"'
PROGRAM = 'RUN+="/usr/local/sbin/x"'


def events(rules: str, **given: t.Any) -> StageEvents:
    whole = boot(rules=f"{rules}\n", **given)
    (one,) = whole.stages
    return StageEvents(ComparedRules(whole, one, {card.address: card for card in (CARD, OTHER)}), Modprobe(whole, one, frozenset()))


def said(effects: t.Iterable[Effect]) -> list[str]:
    return [str(one.because[0].fact if isinstance(one, LoadRequest) else type(plain(one)).__name__) for one in effects]


def registered(found: StageEvents, *modules: str) -> list[Registration]:
    """Each module's driver, registered by that module."""
    facts = found._compared.boot.modules
    return [Registration(driver, module, False) for module in modules for driver in facts[module].drivers]


# -- which events there are


@pytest.mark.parametrize(
    ("rule", "of_module"),
    [
        (f'SUBSYSTEM=="drivers", KERNEL=="nouveau", {TAKE}', ["Bind"]),
        (f'SUBSYSTEM=="drivers", KERNEL=="vfio-pci", {TAKE}', []),
        (f'SUBSYSTEM=="module", KERNEL=="nouveau", {TAKE}', ["Bind"]),
        (f'SUBSYSTEM=="module", KERNEL=="vfio_pci", {TAKE}', []),
        (f'SUBSYSTEM=="module|drivers", {TAKE}', ["Bind", "Bind"]),
        (f'SUBSYSTEM=="m*", {TAKE}', ["Bind"]),
        (f'DEVPATH=="/module/nouveau", {TAKE}', ["Bind"]),
        (f'DEVPATH=="/bus/pci/drivers/nouveau", {TAKE}', ["Bind"]),
        (f'DEVPATH=="/bus/pci/drivers/*", {TAKE}', ["Bind"]),
        (f'SUBSYSTEM=="drivers", ACTION=="add", {TAKE}', ["Bind"]),
        (f'SUBSYSTEM=="drivers", ACTION=="remove", {TAKE}', []),
        (f'SUBSYSTEM=="pci", {TAKE}', []),
        (f'SUBSYSTEM!="pci", {TAKE}', []),
        (f'KERNEL=="nouveau", {TAKE}', []),
        ('SUBSYSTEM=="drivers", NAME="x"', []),
    ],
)
def test_a_modules_coming_has_its_own_event_and_one_of_each_driver(rule: str, of_module: list[str]) -> None:
    found = events(rule)
    assert said(found.of_module("nouveau")) == of_module
    assert found.eventful == ({"nouveau"} if "nouveau" in rule and of_module else found.eventful)
    assert ("nouveau" in found.eventful) is bool(of_module)


def test_of_a_module_without_known_facts_its_own_event_alone_is_followed() -> None:
    assert said(events(f'SUBSYSTEM=="module|drivers", {TAKE}').of_module("no_such")) == ["Bind"]


def test_a_rule_for_all_devices_acts_beside_one_for_modules() -> None:
    found = events(f'KERNEL=="nouveau", {TAKE}\nSUBSYSTEM=="module", NAME="x"')
    assert said(found.of_module("nouveau")) == ["Bind"]


def test_what_is_there_before_has_its_events_replayed_once() -> None:
    found = events(
        'SUBSYSTEM=="subsystem", RUN{builtin}+="kmod load vfio-pci"\n'
        f'SUBSYSTEM=="drivers", KERNEL=="nouveau", {TAKE}\n'
        f'SUBSYSTEM=="module", KERNEL=="e1000e", {TAKE}'
    )
    jobs = list(found.replayed([*registered(found, "nouveau", "e1000e"), *registered(found, "nouveau", "e1000e")]))
    assert [said(job.effects) for job in jobs] == [["RUN kmod load vfio-pci"], ["Bind"], ["Bind"]]
    assert not any(job.own for job in jobs)


@pytest.mark.parametrize("word", ["subsystem", "bus", "class"])
def test_the_bus_itself_has_an_event(word: str) -> None:
    found = events(f'SUBSYSTEM=="{word}", KERNEL=="pci", ATTR{{drivers_autoprobe}}="0"')
    assert [said(job.effects) for job in found.replayed([])] == [["SetBusAutoprobe"]]
    other = events(f'SUBSYSTEM=="{word}", KERNEL=="usb", ATTR{{drivers_autoprobe}}="0"')
    assert list(other.replayed(registered(other, "nouveau"))) == []
    by_path = events('DEVPATH=="/bus/pci", ATTR{drivers_autoprobe}="0"')
    assert [said(job.effects) for job in by_path.replayed([])] == [["SetBusAutoprobe"]]


def test_without_such_rules_nothing_is_replayed() -> None:
    found = events(f'SUBSYSTEM=="pci", {TAKE}')
    assert list(found.replayed(registered(found, "nouveau", "e1000e"))) == []


# -- bind and unbind


def test_the_events_of_a_driver_that_comes_or_goes() -> None:
    found = events('ACTION=="bind", ATTR{driver_override}="a"\nACTION=="unbind", ATTR{driver_override}="b"')
    assert [one.driver for one in found.on_bind(CARD) if isinstance(one, SetOverride)] == ["a"]
    assert [one.driver for one in found.on_unbind(CARD) if isinstance(one, SetOverride)] == ["b"]
    assert found.of(CARD) == ()
    assert found.of(CARD, "bind") == found.on_bind(CARD)
    idle = events('ACTION=="add", ATTR{driver_override}="a"')
    assert (idle.on_bind(CARD), idle.on_unbind(CARD)) == ((), ())


def test_further_events_are_those_of_drivers_and_of_modules() -> None:
    found = events(
        'ACTION=="bind", SUBSYSTEM=="pci", ATTR{driver_override}="a"\nACTION=="unbind", SUBSYSTEM=="pci", ATTR{driver_override}="b"\n'
        f'SUBSYSTEM=="module", KERNEL=="nouveau", {TAKE}'
    )
    assert said(found.further(CARD)) == ["SetOverride", "SetOverride", "Bind"]


# -- what is not simulated


def noticed(rules: str, states: t.Sequence[DeviceState] | None, **given: t.Any) -> list[Influence]:
    """After the device's own event."""
    found = events(rules, **given)
    found.of(CARD)
    return list(found.noticed(CARD, states))


FREE, NOUVEAU, VFIO = DeviceState(), DeviceState(driver="nouveau"), DeviceState(driver="vfio-pci")


def test_a_program_at_an_event_of_the_device_is_noticed() -> None:
    (one,) = noticed(f'ACTION=="add", {PROGRAM}', [FREE])
    assert one.fact.startswith("runs /usr/local/sbin/x")
    assert noticed(f'ACTION=="add", KERNEL=="0000:02:00.0", {PROGRAM}', [FREE]) == []
    assert noticed('ACTION=="add", ATTR{driver_override}="a"', [FREE]) == []


def test_a_program_at_the_event_of_a_driver_is_noticed_if_there_may_be_one() -> None:
    rule = f'ACTION=="bind", {PROGRAM}'
    assert [len(noticed(rule, states)) for states in ([FREE], [NOUVEAU], [FREE, NOUVEAU], None)] == [0, 1, 1, 1]


def test_what_a_driver_s_rule_does_to_another_device_is_noticed() -> None:
    """Whether it does depends on a driver that the event's device may have by then."""
    rule = 'ACTION=="add", DRIVER=="nouveau", ATTR{[pci/0000:02:00.0]driver_override}="vfio-pci"'
    assert {address for one in noticed(rule, [NOUVEAU]) for address in one.addresses or ()} == {"0000:02:00.0"}
    assert noticed(rule, [VFIO]) == []


def test_what_asks_for_a_driver_is_noticed_if_it_may_be_that_one() -> None:
    rule = f'ACTION=="bind", DRIVER=="nouveau", {PROGRAM}'
    assert [len(noticed(rule, states)) for states in ([VFIO], [NOUVEAU], [VFIO, NOUVEAU], None)] == [0, 1, 1, 1]
    add = f'ACTION=="add", DRIVER=="nouveau", {PROGRAM}'
    assert [len(noticed(add, states)) for states in ([FREE], [NOUVEAU], None)] == [0, 1, 1]


def test_a_module_that_is_loaded_when_a_driver_comes_is_noticed() -> None:
    (one,) = noticed('ACTION=="bind", RUN{builtin}+="kmod load vfio-pci"', [NOUVEAU], modprobe="softdep vfio-pci pre: e1000e\n")
    assert (one.acts, one.addresses, one.modules) == (frozenset(("load",)), None, frozenset(("vfio_pci", "e1000e")))
    assert one.source == "/etc/udev/rules.d/90-site.rules:1"
    assert noticed('ACTION=="add", RUN{builtin}+="kmod load vfio-pci"', [NOUVEAU]) == []


def test_the_devices_own_address_stands_in_what_is_noticed() -> None:
    doubt = 'ENV{SEQNUM}=="7"'
    (one,) = noticed(f'ACTION=="add", {doubt}, ATTR{{driver_override}}="a"', [FREE])
    assert one.addresses == frozenset((CARD.address,))
    (one,) = noticed(f'ACTION=="add", {doubt}, ATTR{{[pci/0000:02:00.0]driver_override}}="a"', [FREE])
    assert one.addresses == frozenset((OTHER.address,))
    (one,) = noticed(f'ACTION=="bind", {doubt}, ATTR{{driver_override}}="a"', [NOUVEAU])
    assert one.addresses == frozenset((CARD.address,))


def test_what_is_noticed_at_a_modules_event() -> None:
    found = events(f'SUBSYSTEM=="module", KERNEL=="nouveau", {PROGRAM}\nSUBSYSTEM=="module", KERNEL=="e1000e", {TAKE}')
    assert [len(list(found.noticed_of_modules(modules))) for modules in (["nouveau"], ["e1000e"], ["nouveau", "e1000e"], [])] == [
        1,
        0,
        1,
        0,
    ]
    assert [type(one) for one in found.of_module("nouveau")] == [Noticed]
    assert [type(one) for one in found.of_module("e1000e")] == [Bind]


# -- whether there are events at all


def test_without_udev_there_are_none() -> None:
    whole = boot(rules=f"{PROGRAM}\n")
    (one,) = whole.stages
    for steps, there in ((((Coldplug(),),), True), ((), False), (((), (Coldplug(),)), True)):
        changed = dataclasses.replace(one, steps=steps)
        assert (stage_events(ComparedRules(whole, changed, {}), Modprobe(whole, changed, frozenset())) is not None) is there


@pytest.mark.parametrize(
    ("rule", "answer"),
    [
        ('DRIVER=="x", NAME="y"', True),
        ('DRIVERS!="x", NAME="y"', True),
        ('ENV{DRIVER}=="x", NAME="y"', False),
        ('KERNEL=="x", NAME="y"', False),
        ('ATTR{driver_override}="x"', False),
    ],
)
def test_rules_can_depend_on_the_driver(rule: str, answer: bool) -> None:
    assert depend_on_driver(udev_rules(f'{rule}\nNAME="z"\n')) is answer

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one event does, in order: attributes while the rules are evaluated, then the RUN list (udev(7), systemd's udev-rules.c)."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.events import (
    Doubt,
    Events,
    ProbeNow,
    SetAutoprobe,
    SetOverride,
    Unbind,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import LoadRequest, Modprobe
from ansible_collections.vfio.variants.tests.unit.boots import boot, device

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

CARD, OTHER = device("0000:01:00.0", subsystem="10de:1212"), device("0000:02:00.0", "8086:10d3", class_code=0x020000)


def effects(
    rules: str, card: Device = CARD, action: str = "add", modprobe: str = "", devices: t.Sequence[Device] = ()
) -> list[tuple[t.Any, ...]]:
    """What the event of a card does, each as its kind and what it is about; "own" is the event's device."""
    found = boot(rules=rules, modprobe=modprobe)
    (root,) = found.stages
    known = {one.address: one for one in (CARD, OTHER, *devices)}
    events = Events(root, Modprobe(found, root, frozenset()), known, action)
    return [shown(effect) for effect in events.of(card)]


def shown(effect: t.Any) -> tuple[t.Any, ...]:
    if isinstance(effect, LoadRequest):
        return "load", effect.module
    if isinstance(effect, Doubt):
        return ("doubt", effect.sentence.split(" (")[0].removeprefix("What /etc/udev/rules.d/90-site.rules:"))
    kind = {SetOverride: "override", ProbeNow: "probe", Unbind: "unbind", SetAutoprobe: "autoprobe"}[type(effect)]
    value = effect.driver if isinstance(effect, SetOverride) else effect.on if isinstance(effect, SetAutoprobe) else None
    return (kind, effect.address or "own", *(() if value is None else (value,)))


OVERRIDE = 'ATTR{driver_override}="vfio-pci"\n'


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        (OVERRIDE, [("override", "own", "vfio-pci")]),
        ('ATTR{driver_override}=" vfio-pci "\n', [("override", "own", "vfio-pci")]),
        ('ATTR{driver_override}=""\n', []),
        ('ATTR{[pci/0000:02:00.0]driver_override}="vfio-pci"\n', [("override", "0000:02:00.0", "vfio-pci")]),
        ('ATTR{driver_override}=="vfio-pci", ATTR{power/control}="on"\n', []),
        ('ATTR{driver_override}="$env{X}"\n', [("doubt", "1")]),
        ('ATTR{driver_override}="%k"\n', [("doubt", "1")]),
        ('ATTR{[subsystem/pci]drivers_probe}="$kernel"\n', [("probe", "own")]),
        ('ATTR{[subsystem/pci]drivers_probe}="%k"\n', [("probe", "own")]),
        ('ATTR{[subsystem/pci]drivers_probe}="0000:02:00.0"\n', [("probe", "0000:02:00.0")]),
        ('ATTR{driver/unbind}="$kernel"\n', [("unbind", "own")]),
        ('ATTR{driver/unbind}="0000:01:00.0"\n', [("doubt", "1")]),
        ('ATTR{[pci/0000:02:00.0]driver/unbind}="0000:02:00.0"\n', [("unbind", "0000:02:00.0")]),
        ('ATTR{[pci/0000:02:00.0]driver/unbind}="0000:03:00.0"\n', [("doubt", "1")]),
        ('ATTR{sriov_drivers_autoprobe}="0"\n', [("autoprobe", "own", False)]),
        ('ATTR{sriov_drivers_autoprobe}="n"\n', [("autoprobe", "own", False)]),
        ('ATTR{sriov_drivers_autoprobe}="N"\n', [("autoprobe", "own", False)]),
        ('ATTR{sriov_drivers_autoprobe}="off"\n', [("autoprobe", "own", False)]),
        ('ATTR{sriov_drivers_autoprobe}="1"\n', [("autoprobe", "own", True)]),
        ('ATTR{sriov_drivers_autoprobe}="$x"\n', [("doubt", "1")]),
        ('ATTR{driver/new_id}="10de 1db1"\n', [("doubt", "1")]),
        ('ATTR{driver/bind}="0000:01:00.0"\n', [("doubt", "1")]),
        ('ATTR{[drivers/pci:vfio-pci]new_id}="10de 1db1"\n', [("doubt", "1")]),
        ('ATTR{power/control}="auto"\n', []),
        ('ATTR{numa_node}="$x"\n', []),
        ('ENV{driver_override}="vfio-pci"\n', []),
    ],
)
def test_an_attribute_that_is_written_does_what_the_kernel_makes_of_it(rule: str, found: list[tuple[t.Any, ...]]) -> None:
    assert effects(rule) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ('RUN{builtin}+="kmod load"', [("load", "nouveau")]),
        ('RUN{builtin}+="kmod load $env{MODALIAS}"', [("load", "nouveau")]),
        ('RUN{builtin}+="kmod load %E{MODALIAS}"', [("load", "nouveau")]),
        ("RUN{builtin}+=\"kmod load '$env{MODALIAS}'\"", [("load", "nouveau")]),
        ('RUN{builtin}+="kmod load $attr{modalias}"', [("load", "nouveau")]),
        ('RUN{builtin}+="kmod load %s{modalias}"', [("load", "nouveau")]),
        ('RUN{builtin}+="kmod load vfio-pci"', [("load", "vfio_pci")]),
        ('RUN{builtin}+="kmod load vfio-pci e1000e"', [("load", "vfio_pci"), ("load", "e1000e")]),
        ('RUN{builtin}+="kmod load vfio-pci $env{X}"', [("load", "vfio_pci"), ("doubt", "1")]),
        ('RUN{builtin}+="kmod load %c"', [("doubt", "1")]),
        ('RUN{builtin}+="kmod unload vfio-pci"', []),
        ('RUN{builtin}+="net_setup_link"', []),
        ('RUN+="/sbin/modprobe vfio-pci"', [("load", "vfio_pci")]),
        ('RUN+="/usr/sbin/modprobe vfio-pci"', [("load", "vfio_pci")]),
        ('RUN+="/usr/bin/modprobe vfio-pci"', [("load", "vfio_pci")]),
        ('RUN+="/bin/modprobe vfio-pci"', [("load", "vfio_pci")]),
        ('RUN+="modprobe vfio-pci"', [("load", "vfio_pci")]),
        ('RUN+="modprobe -q vfio-pci e1000e"', [("load", "vfio_pci"), ("load", "e1000e")]),
        ('RUN+="modprobe --quiet --use-blacklist -a vfio-pci"', [("load", "vfio_pci")]),
        ('RUN+="modprobe vfio-pci ids=10de:1db1"', [("doubt", "1")]),
        ('RUN+="modprobe -r nouveau"', [("doubt", "1")]),
        ('RUN+="/opt/modprobe vfio-pci"', [("doubt", "1")]),
        ('RUN+="/sbin/insmod x.ko"', [("doubt", "1")]),
        ("RUN+=\"/bin/sh -c 'echo x > /sys/bus/pci/drivers/vfio-pci/new_id'\"", [("doubt", "1")]),
        ("RUN+=\"/bin/sh -c 'echo x > /sys$devpath/driver/unbind'\"", [("doubt", "1")]),
        ('RUN+="/usr/sbin/driverctl load-override %k"', [("doubt", "1")]),
        ('RUN+="/bin/logger found %k"', []),
        ('RUN+="/bin/logger bindings"', []),
    ],
)
def test_an_entry_of_the_run_list_loads_or_is_a_doubt_where_it_may_bind(value: str, found: list[tuple[t.Any, ...]]) -> None:
    assert effects(value + "\n") == found


@pytest.mark.parametrize(
    ("command", "loads"),
    [
        ("modprobe vfio-pci", True),
        ("modprobe -b vfio-pci", False),
        ("modprobe -qb vfio-pci", False),
        ("modprobe -bq vfio-pci", False),
        ("modprobe -q vfio-pci", True),
        ("modprobe --use-blacklist vfio-pci", False),
    ],
)
def test_plain_modprobe_loads_what_is_blacklisted_and_udev_does_not(command: str, loads: bool) -> None:
    for rule, expected in ((f'RUN+="{command}"\n', loads), ('RUN{builtin}+="kmod load vfio-pci"\n', False)):
        found = boot(rules=rule, modprobe="blacklist vfio-pci\n")
        (root,) = found.stages
        (request,) = Events(root, Modprobe(found, root, frozenset()), {}).of(CARD)
        assert isinstance(request, LoadRequest)
        assert bool(request.insertions) is expected


def test_attributes_are_written_before_anything_runs() -> None:
    rules = f'RUN+="modprobe vfio-pci"\n{OVERRIDE}ATTR{{[subsystem/pci]drivers_probe}}="$kernel"\nRUN+="modprobe e1000e"\n'
    assert effects(rules) == [("override", "own", "vfio-pci"), ("probe", "own"), ("load", "vfio_pci"), ("load", "e1000e")]


@pytest.mark.parametrize("operator", ["=", ":="])
def test_a_run_list_that_is_assigned_has_lost_what_it_had(operator: str) -> None:
    rules = f'RUN+="modprobe vfio-pci"\nRUN{operator}"modprobe e1000e"\nRUN+="modprobe nouveau"\n'
    assert effects(rules) == [("load", "e1000e"), ("load", "nouveau")]


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        (f'TAG=="x", {OVERRIDE}', [("doubt", "1")]),
        ('TAG=="x", ATTR{power/control}="on"\n', []),
        ('TAG=="x", ENV{driver_override}="vfio-pci"\n', []),
        ('TAG=="x", ATTR{driver_override}=="nouveau", NAME="y"\n', []),
        ('TAG=="x", RUN{builtin}+="kmod load vfio-pci"\n', [("doubt", "1")]),
        ('TAG=="x", RUN{builtin}+="uaccess"\n', []),
        ('TAG=="x", RUN+="/sbin/modprobe vfio-pci"\n', [("doubt", "1")]),
        ('TAG=="x", RUN+="/bin/logger"\n', []),
        ('PROGRAM=="/bin/bind-it bind"\n', [("doubt", "1")]),
        ('IMPORT{program}="/sbin/modprobe vfio-pci"\n', [("doubt", "1")]),
        ('PROGRAM=="/bin/true"\n', []),
        ('IMPORT{program}="/bin/env"\n', []),
        (f'TAG=="x", GOTO="end"\n{OVERRIDE}LABEL="end"\n', [("doubt", "2")]),
    ],
)
def test_what_may_or_may_not_match_is_a_doubt_where_it_may_bind(rule: str, found: list[tuple[t.Any, ...]]) -> None:
    assert effects(rule) == found


@pytest.mark.parametrize(
    ("condition", "matches"),
    [
        ('KERNEL=="0000:01:00.0"', True),
        ('KERNEL=="0000:02:00.0"', False),
        ('KERNEL=="0000:02:00.0|0000:01:00.0"', True),
        ('KERNEL=="0000:01:00.?"', True),
        ('KERNEL=="0000:0[2-9]:00.0"', False),
        ('KERNEL==i"0000:01:00.0"', True),
        ('KERNEL!="0000:01:00.0"', False),
        ('KERNEL!="0000:02:00.0"', True),
        ('ENV{PCI_SLOT_NAME}=="0000:01:00.0"', True),
        ('ENV{PCI_SLOT_NAME}=="0000:02:00.0"', False),
        ('ATTR{vendor}=="0x10de"', True),
        ('ATTR{subsystem_vendor}=="0x10de"', True),
        ('ATTR{subsystem_vendor}!="0x10de"', False),
        ('ATTR{revision}=="0xa1"', True),
        ('SUBSYSTEM=="pci", ACTION=="add"', True),
        ('SUBSYSTEM=="usb"', False),
        ('ACTION=="unbind"', False),
        ('SYSCTL{kernel/osrelease}=="6.12*"', True),
        ('SYSCTL{kernel/osrelease}=="6.1.*"', False),
        ('ATTR{[pci/0000:02:00.0]vendor}=="0x8086"', True),
        ('ATTR{[pci/0000:02:00.0]vendor}=="0x10de"', False),
        ('ATTR{[pci/0000:77:00.0]vendor}=="0x8086"', False),
        ('ATTR{[pci/0000:02:00.0]vendor}=="0x8086", KERNEL=="0000:01:00.0", ACTION!="remove"', True),
        ('ATTR{[pci/0000:02:00.0]vendor}=="0x8086", KERNEL=="0000:02:00.0"', False),
    ],
)
def test_a_rule_holds_for_the_devices_that_it_asks_for(condition: str, matches: bool) -> None:
    assert effects(f"{condition}, {OVERRIDE}") == ([("override", "own", "vfio-pci")] if matches else [])


def test_rules_for_one_device_keep_their_place_among_those_for_all() -> None:
    asked = ("", 'KERNEL=="0000:01:00.0", ', "", 'KERNEL=="0000:02:00.0", ')
    rules = "".join(f'{condition}ATTR{{driver_override}}="{driver}"\n' for condition, driver in zip(asked, "abcd"))
    assert [driver for _kind, _own, driver in effects(rules)] == ["a", "b", "c"]
    assert [driver for _kind, _own, driver in effects(rules, OTHER)] == ["a", "c", "d"]


def test_a_jump_that_only_one_device_takes_leads_to_its_label() -> None:
    rules = f'KERNEL=="0000:01:00.0", GOTO="end"\n{OVERRIDE}KERNEL=="0000:03:00.0", LABEL="end"\nATTR{{sriov_drivers_autoprobe}}="0"\n'
    assert effects(rules) == [("autoprobe", "own", False)]
    assert effects(rules, OTHER) == [("override", "own", "vfio-pci"), ("autoprobe", "own", False)]


def test_a_label_counts_though_its_rule_does_not_match() -> None:
    rules = f'GOTO="end"\n{OVERRIDE}SUBSYSTEM=="usb", LABEL="end", ATTR{{driver_override}}="x"\nATTR{{sriov_drivers_autoprobe}}="0"\n'
    assert effects(rules) == [("autoprobe", "own", False)]


def test_the_event_after_an_unbind_meets_the_rules_that_are_not_for_add_alone() -> None:
    rules = 'ACTION=="add", ATTR{driver_override}="a"\nACTION=="unbind", ATTR{driver_override}="u"\n'
    rules += 'ACTION!="remove", ATTR{driver_override}="both"\n'
    assert [driver for _kind, _own, driver in effects(rules, action="unbind")] == ["u", "both"]
    assert [driver for _kind, _own, driver in effects(rules)] == ["a", "both"]


def test_devices_that_no_rule_tells_apart_share_one_list_of_effects() -> None:
    found = boot(rules=f'KERNEL=="0000:01:00.0|0000:04:00.[12]", {OVERRIDE}RUN{{builtin}}+="kmod load"\n')
    (root,) = found.stages
    events = Events(root, Modprobe(found, root, frozenset()), {})
    plain = [device(address) for address in ("0000:02:00.0", "0000:03:00.0")]
    named = [device(address) for address in ("0000:01:00.0", "0000:04:00.1", "0000:04:00.2")]
    assert events.of(plain[0]) is events.of(plain[1])
    assert [shown(effect) for effect in events.of(plain[0])] == [("load", "nouveau")]
    for one in named:
        assert [shown(effect) for effect in events.of(one)] == [("override", "own", "vfio-pci"), ("load", "nouveau")]
    other = device("0000:05:00.0", revision=0xFF)
    assert events.of(other) is not events.of(plain[0])
    assert [shown(effect) for effect in events.of(device("0000:06:00.0", "8086:10d3", class_code=0x020000))] == [("load", "e1000e")]


def test_each_effect_says_which_rule_has_it() -> None:
    found = boot(rules=f'\n{OVERRIDE}RUN+="modprobe vfio-pci"\nRUN{{builtin}}+="kmod load"\n')
    (root,) = found.stages
    override, named, stock = Events(root, Modprobe(found, root, frozenset()), {}).of(CARD)
    assert isinstance(override, SetOverride)
    assert str(override.because) == "/etc/udev/rules.d/90-site.rules:2: driver_override=vfio-pci"
    assert isinstance(named, LoadRequest)
    assert str(named.because[0]) == "/etc/udev/rules.d/90-site.rules:3: RUN modprobe vfio-pci"
    assert isinstance(stock, LoadRequest)
    assert str(stock.because[0]).startswith("modules.alias of ")


@pytest.mark.parametrize(("written", "matches"), [('i"0000:0A:00.0"', True), ('"0000:0A:00.0"', False), ('"0000:0a:00.0"', True)])
def test_an_address_is_written_in_small_letters_unless_case_does_not_matter(written: str, matches: bool) -> None:
    card = device("0000:0a:00.0")
    assert effects(f"KERNEL=={written}, {OVERRIDE}", card, devices=[card]) == ([("override", "own", "vfio-pci")] if matches else [])

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rules matter to a kind of event, and what udev does at the events of functions that are alike or not."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.compared_rules import ComparedRules, around_of, reduced
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import SetOverride
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.events import Events
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import LoadRequest, Modprobe
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import Subject
from ansible_collections.vfio.variants.tests.unit.boots import boot, device, stage

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

FIRST, SECOND = device("0000:01:00.0"), device("0000:02:00.0")
OTHER = device("0000:03:00.0", "8086:10d3", class_code=0x020000)
TAKE = 'ATTR{driver_override}="x"'


def kept(rules: str, action: str = "add") -> list[tuple[int, list[str]]]:
    """The lines that matter to functions' events, each with the names of the keys that are left to be asked."""
    whole = boot(rules=f"{rules}\n")
    (root,) = whole.stages
    found = reduced(root.rules.rules, around_of(whole, root, {}), Subject(None, "pci", is_event_s=True), action)
    return [(rule.line, [key.name for key in rule.keys]) for rule in found]


@pytest.mark.parametrize(
    ("rule", "keys"),
    [
        (TAKE, ["ATTR"]),
        (f'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="x", {TAKE}', ["KERNEL", "ATTR"]),
        (f'ACTION=="remove", {TAKE}', None),
        (f'ACTION!="remove", {TAKE}', ["ATTR"]),
        (f'SUBSYSTEM=="net", {TAKE}', None),
        (f'SYSCTL{{kernel/osrelease}}=="x", {TAKE}', None),
        (f'SYSCTL{{kernel/osrelease}}=="6.*", {TAKE}', ["ATTR"]),
        (f'SYSCTL{{kernel/hostname}}=="x", {TAKE}', ["SYSCTL", "ATTR"]),
        (f'CONST{{virt}}=="kvm", {TAKE}', ["CONST", "ATTR"]),
        (f'CONST{{virt}}=="x", {TAKE}', None),
        (f'CONST{{virt}}!="x", {TAKE}', ["ATTR"]),
        ('SYSCTL{kernel/x}="1"', ["SYSCTL"]),
        ('RUN+="/x"', ["RUN"]),
        ('PROGRAM="/x"', ["PROGRAM"]),
        ('IMPORT{file}="/x"', ["IMPORT"]),
        ('ENV{X}="1"', ["ENV"]),
        ('TAG+="x"', ["TAG"]),
        ('LABEL="x"', ["LABEL"]),
        ('NAME="x"', None),
        ('SYMLINK+="x", MODE="0600", OWNER="x", OPTIONS+="watch"', None),
        ('ATTR{power/control}="on"', None),
        ('ACTION=="remove", LABEL="x", NAME="y"', ["LABEL"]),
        (f'ACTION=="remove", LABEL="x", {TAKE}', ["LABEL"]),
        (f'ACTION=="add", LABEL="x", {TAKE}', ["LABEL", "ATTR"]),
    ],
)
def test_rules_that_cannot_matter_and_keys_that_are_settled_are_left_out(rule: str, keys: list[str] | None) -> None:
    assert kept(rule) == ([] if keys is None else [(1, keys)])


@pytest.mark.parametrize(
    ("jump", "lines"),
    [
        ('GOTO="end"', [1, 3, 4]),
        ('ACTION=="add", GOTO="end"', [1, 3, 4]),
        ('SUBSYSTEM!="net", GOTO="end"', [1, 3, 4]),
        ('SUBSYSTEM=="net", GOTO="end"', [2, 3, 4]),
        ('KERNEL=="x", GOTO="end"', [1, 2, 3, 4]),
        ('ENV{X}="1", GOTO="end"', [1, 2, 3, 4]),
        ('KERNEL=="x", LABEL="y", GOTO="end"', [1, 2, 3, 4]),
        ('LABEL="y", GOTO="end"', [1, 3, 4]),
    ],
)
def test_what_every_event_jumps_over_is_left_out(jump: str, lines: list[int]) -> None:
    assert [line for line, _keys in kept(f'{jump}\n{TAKE}\nLABEL="end"\n{TAKE}')] == lines


def test_a_jump_ends_at_its_own_label_alone() -> None:
    text = f'GOTO="end"\nLABEL="other", {TAKE}\n{TAKE}\nLABEL="end", {TAKE}'
    assert [line for line, _keys in kept(text)] == [1, 4]


def events(rules: str, action: str = "add", cards: t.Sequence[Device] = (FIRST, SECOND, OTHER), **given: t.Any) -> Events:
    whole = boot(rules=f"{rules}\n", **given)
    (root,) = whole.stages
    return Events(ComparedRules(whole, root, {card.address: card for card in cards}), Modprobe(whole, root, frozenset()), action)


def overrides(found: Events, card: Device) -> list[str | None]:
    return [one.driver for one in found.of(card) if isinstance(one, SetOverride)]


def test_functions_that_no_rule_tells_apart_share_their_effects() -> None:
    found = events(TAKE)
    assert found.of(FIRST) is found.of(SECOND)
    assert found.of(FIRST) is found.of(FIRST)
    named = events(f'KERNEL=="{FIRST.address}", {TAKE}')
    assert (overrides(named, FIRST), overrides(named, SECOND)) == (["x"], [])


def test_rules_for_one_address_come_among_those_for_all_in_their_order() -> None:
    def set_(value: str) -> str:
        return f'ATTR{{driver_override}}="{value}"'

    text = f'{set_("a")}\nKERNEL=="{SECOND.address}", {set_("b")}\nKERNEL=="{FIRST.address}|{OTHER.address}", {set_("c")}\n{set_("d")}'
    found = events(text)
    assert [overrides(found, card) for card in (FIRST, SECOND, OTHER)] == [["a", "c", "d"], ["a", "b", "d"], ["a", "c", "d"]]


def test_a_jump_to_a_label_in_a_rule_for_one_address_is_followed() -> None:
    text = f'KERNEL=="{FIRST.address}", GOTO="end"\n{TAKE}\nKERNEL=="{SECOND.address}", LABEL="end", ATTR{{driver_override}}="y"'
    assert [overrides(events(text), card) for card in (FIRST, SECOND)] == [[], ["x", "y"]]


def test_events_of_another_action_have_other_rules() -> None:
    text = f'ACTION=="bind", {TAKE}\nACTION=="add", NAME="x"'
    assert (events(text).is_idle, events(text, "bind").is_idle) == (True, False)
    assert (overrides(events(text), FIRST), overrides(events(text, "bind"), FIRST)) == ([], ["x"])


@pytest.mark.parametrize(
    ("rule", "idle"),
    [
        ("", True),
        ('ENV{X}="1"', True),
        ('TAG+="x"', True),
        ('LABEL="x"', True),
        (TAKE, False),
        ('RUN+="/x"', False),
        ('SYSCTL{x}="1"', False),
        ('PROGRAM="/x"', False),
        ('IMPORT{db}="X"', False),
    ],
)
def test_events_are_idle_unless_a_rule_does_something(rule: str, idle: bool) -> None:
    assert events(rule).is_idle is idle


def test_that_something_is_not_simulated_is_known_once_the_event_is() -> None:
    found = events('RUN+="/usr/local/sbin/x"')
    assert not found.notices
    found.of(FIRST)
    assert found.notices
    simulated = events(TAKE)
    simulated.of(FIRST)
    assert not simulated.notices


def test_the_stock_rule_loads_by_the_modalias() -> None:
    found = events('ENV{MODALIAS}=="?*", RUN{builtin}+="kmod load"')
    assert [[one.module for one in found.of(card) if isinstance(one, LoadRequest)] for card in (FIRST, OTHER)] == [["nouveau"], ["e1000e"]]


def test_words_for_the_initramfs_count_in_the_initramfs() -> None:
    text = 'IMPORT{cmdline}="rd.gpu", ATTR{driver_override}="$env{rd.gpu}"\n'
    whole = boot(stage("initramfs", rules=text), stage("root", rules=text), cmdline="rd.gpu=x")
    found = [Events(ComparedRules(whole, one, {}), Modprobe(whole, one, frozenset())) for one in whole.stages]
    assert [overrides(one, FIRST) for one in found] == [["x"], []]

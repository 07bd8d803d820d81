# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cards the rules of a policy are for, as udev evaluates them."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim
from ansible_collections.vfio.variants.plugins.module_utils._core.pci import selector as selectors
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import Decision, DriverChoice
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.rules import lines_for, rule_lines
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules, parse
from ansible_collections.vfio.variants.tests.unit.boots import device

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

CARD = device("0000:3b:00.0", subsystem="10de:1212")
SAME = device("0000:5e:00.0", subsystem="10de:1212")
OTHER_BOARD = device("0000:5f:00.0", subsystem="10de:1213")
OTHER_MAKER = device("0000:60:00.0", subsystem="1043:1212")
OTHER_CLASS = device("0000:61:00.0", subsystem="10de:1212", class_code=0x030000)
OTHER_MODEL = device("0000:3b:00.0", "10de:1db5", subsystem="10de:1212")
NEW, OLD = "6.12", "6.1"


def decision(written: str | list[str], card: Device = CARD, strategy: str = "override", **drivers: str) -> Decision:
    """``drivers`` are those of each kernel, `new` and `old`; without any the one of all is vfio-pci."""
    matching = tuple(one for one in selectors.parse(written, "devices") if one.matches(card))
    names = drivers or {"new": "vfio-pci"}
    releases = {"old": OLD, "new": NEW}
    choices = tuple(DriverChoice(releases[name], driver.replace("-", "_"), driver) for name, driver in names.items())
    return Decision(card, Claim(matching), matching, strategy, choices)


def overrides(lines: t.Iterable[str], card: Device, release: str = NEW) -> list[str | None]:
    rules = Rules(tuple(parse("".join(f"{line}\n" for line in lines), "/etc/udev/rules.d/70-x.rules")))
    found = rules.overrides(card, release)
    assert all(one.certain for one in found)
    return [one.driver for one in found]


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("10de:1db1", {CARD, SAME, OTHER_BOARD, OTHER_MAKER, OTHER_CLASS}),
        ("10de:*", {CARD, SAME, OTHER_BOARD, OTHER_MAKER, OTHER_CLASS}),
        ("0000:3b:00.0", {CARD}),
        ("10de:1db1:10de:1212", {CARD, SAME, OTHER_CLASS}),
        ("10de:1db1:10de:*", {CARD, SAME, OTHER_BOARD, OTHER_CLASS}),
        ("class:0302", {CARD, SAME, OTHER_BOARD, OTHER_MAKER}),
        ("class:030200", {CARD, SAME, OTHER_BOARD, OTHER_MAKER}),
        ("class:03", {CARD, SAME, OTHER_BOARD, OTHER_MAKER, OTHER_CLASS}),
    ],
)
def test_a_claim_s_rule_is_for_what_the_selector_means_among_the_model_that_was_found(written: str, taken: set[Device]) -> None:
    lines = rule_lines((decision(written),))
    cards = (CARD, SAME, OTHER_BOARD, OTHER_MAKER, OTHER_CLASS, OTHER_MODEL)
    assert {card for card in cards if overrides(lines, card)} == taken


@pytest.mark.parametrize(("written", "key"), [("class:030200", '"0x030200"'), ("class:0302", '"0x0302*"')])
def test_a_class_that_is_given_in_full_is_not_a_pattern_in_the_rule(written: str, key: str) -> None:
    (line,) = rule_lines((decision(written),))
    assert f"ATTR{{class}}=={key}," in line


def test_each_selector_of_a_claim_has_its_rule_and_equal_ones_share_it() -> None:
    assert len(rule_lines((decision(["0000:3b:00.0", "10de:1db1"]),))) == 2
    assert len(rule_lines((decision("10de:1db1"), decision("10de:1db1", SAME)))) == 1


def test_the_strategy_ids_has_no_rule() -> None:
    assert rule_lines((decision("10de:1db1", strategy="ids"),)) == ()
    assert rule_lines((decision("10de:1db1", strategy="ids"), decision("0000:5e:00.0", SAME))) == rule_lines(
        (decision("0000:5e:00.0", SAME),)
    )
    assert rule_lines((decision("10de:1db1", strategy="blacklist"),)) == rule_lines((decision("10de:1db1"),))


def test_where_kernels_differ_each_has_its_driver_and_the_newest_one_s_is_for_all_others() -> None:
    lines = rule_lines((decision("10de:1db1", old="vfio-pci", new="variant"),))
    assert [overrides(lines, CARD, release) for release in (OLD, NEW, "7.0")] == [["vfio-pci"], ["variant"], ["variant"]]
    same = rule_lines((decision("10de:1db1", old="variant", new="variant"),))
    assert len(same) == 1
    assert overrides(same, CARD, "7.0") == ["variant"]


def test_several_kernels_of_one_driver_share_a_rule() -> None:
    choices = tuple(DriverChoice(release, driver, driver) for release, driver in (("5", "a"), ("6", "b"), ("7", "a"), ("8", "c")))
    one = decision("10de:1db1")
    lines = rule_lines((Decision(one.device, one.claim, one.selectors, one.strategy, choices),))
    assert len(lines) == 3
    assert [overrides(lines, CARD, release) for release in ("5", "6", "7", "8", "9")] == [["a"], ["b"], ["a"], ["c"], ["c"]]


def test_a_kernel_that_lacks_the_module_does_not_decide_for_those_to_come() -> None:
    one = decision("10de:1db1")
    choices = (DriverChoice(OLD, "variant", "variant"), DriverChoice(NEW, "vfio_pci", "vfio-pci", missing=True))
    lines = rule_lines((Decision(one.device, one.claim, one.selectors, one.strategy, choices),))
    assert [overrides(lines, CARD, release) for release in (OLD, NEW, "7.0")] == [["variant"], ["vfio-pci"], ["variant"]]


def test_cards_of_one_claim_whose_best_drivers_differ_are_told_apart() -> None:
    lines = rule_lines((decision("10de:1db1", new="variant"), decision("10de:1db1", OTHER_BOARD, new="vfio-pci")))
    assert [overrides(lines, card) for card in (CARD, SAME, OTHER_BOARD)] == [["variant"], ["variant"], ["vfio-pci"]]
    by_class = rule_lines((decision("10de:1db1", new="variant"), decision("10de:1db1", OTHER_CLASS, new="vfio-pci")))
    assert [overrides(by_class, card) for card in (CARD, OTHER_CLASS)] == [["variant"], ["vfio-pci"]]
    by_maker = rule_lines((decision("10de:1db1", new="variant"), decision("10de:1db1", OTHER_MAKER, new="vfio-pci")))
    assert [overrides(by_maker, card) for card in (CARD, OTHER_MAKER)] == [["variant"], ["vfio-pci"]]


def test_the_rules_load_the_module_and_ask_for_a_probe_after_the_override() -> None:
    """udev writes attributes in the order of the rule's keys and runs what is to be run at the end."""
    (line,) = rule_lines((decision("10de:1db1", new="vfio-pci"),))
    (rule,) = parse(line, "x")
    assignments = [(key.name, key.attribute, key.value) for key in rule.keys if not key.is_match]
    assert assignments == [
        ("ATTR", "driver_override", "vfio-pci"),
        ("ATTR", "[subsystem/pci]drivers_probe", "$kernel"),
        ("RUN", "builtin", "kmod load vfio_pci"),
    ]
    assert [(key.name, key.value) for key in rule.keys if key.is_match][:2] == [("ACTION", "add"), ("SUBSYSTEM", "pci")]


def test_a_card_that_shares_its_native_has_its_override_at_any_event_before_all_others() -> None:
    ours, second = decision("0000:3b:00.0"), decision("0000:5e:00.0", SAME)
    lines = rule_lines((second, ours), {CARD.address})
    assert lines[1:] == rule_lines((second, ours))
    (rule,) = parse(lines[0], "x")
    assert [(key.name, key.attribute, key.value) for key in rule.keys if not key.is_match] == [
        ("ATTR", "[pci/0000:3b:00.0]driver_override", "vfio-pci")
    ]
    network = device("0000:02:00.0", "8086:10d3", class_code=0x020000)
    assert rule.matches(network, NEW, {CARD.address: CARD}) is True
    # After a renumbering another model has the address, or another maker's.
    assert rule.matches(network, NEW, {CARD.address: OTHER_MODEL}) is False
    assert rule.matches(network, NEW, {CARD.address: device("0000:3b:00.0", "8086:1db1")}) is False


def test_at_any_event_kernels_differ_too() -> None:
    lines = rule_lines((decision("0000:3b:00.0", old="vfio-pci", new="variant"),), {CARD.address})
    early = [rule for rule in parse("\n".join(lines), "x") if rule.value("ATTR", "[pci/0000:3b:00.0]driver_override")]
    found = {
        release: [rule.keys[-1].value for rule in early if rule.matches(SAME, release, {CARD.address: CARD})] for release in (OLD, NEW)
    }
    assert found == {OLD: ["vfio-pci"], NEW: ["variant"]}


def test_a_card_that_is_claimed_by_hand_has_both_kinds_of_rules() -> None:
    lines = lines_for(CARD, "vfio-pci", "vfio_pci")
    assert len(lines) == 2
    assert overrides(lines[1:], CARD) == ["vfio-pci"]
    assert overrides(lines[1:], SAME) == []

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a function with its driver, and what a claim can ignore."""

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.arguments import GUARD_FIELDS
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim, parse_one
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.guard_table import GUARDS, IGNORE, OPTIONAL, VITAL_GUARDS, table
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.guards import GuardFinding, Loss, identical, judge, refuse, warnings
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses import Use, UseGuard
from ansible_collections.vfio.variants.tests.unit.boots import device
from ansible_collections.vfio.variants.tests.unit.rooms import ROOT

FIRST, SECOND, FUNCTION = device("0000:01:00.0"), device("0000:02:00.0"), device("0000:01:00.1")
EVERYTHING = dict.fromkeys(OPTIONAL, IGNORE)


def uses(count: int, guard: UseGuard = "in_use") -> tuple[Use, ...]:
    return tuple(Use(f"use {number}", guard) for number in range(1, count + 1))


def loss(*found: Use, guards: dict[str, str] | None = None, **more: t.Any) -> Loss:
    return Loss(more.pop("device", FIRST), Claim((), guards=guards or {}), found, **more)


def refused(*losses: Loss) -> str:
    with pytest.raises(HostError) as caught:
        refuse(judge(losses))
    return str(caught.value)


def test_what_is_not_used_may_go() -> None:
    refuse(judge([]))
    refuse(judge([loss()]))


def test_the_guards_of_uses_are_all_there() -> None:
    assert set(t.get_args(UseGuard)) | {"companions", "identical"} == {guard.name for guard in GUARDS}
    assert set(GUARD_FIELDS) == set(OPTIONAL)
    assert set(OPTIONAL) == {"console", "data_mounts", "in_use", "companions", "identical"}


@pytest.mark.parametrize("name", sorted(VITAL_GUARDS))
def test_nothing_overrides_what_keeps_the_host_running(name: UseGuard) -> None:
    said = "0000:01:00.0 (10de:1db1) keeps this host running: use 1. Nothing overrides this; let no claim match that device."
    assert refused(loss(*uses(1, name))) == said
    assert refused(loss(*uses(1, name), guards=EVERYTHING)) == said


@pytest.mark.parametrize("name", ["console", "data_mounts", "in_use"])
def test_an_optional_guard_is_ignored_by_its_own_name_only(name: UseGuard) -> None:
    others = {other: IGNORE for other in OPTIONAL if other != name}
    assert f"`claims[0].guards: {{{name}: ignore}}`" in refused(loss(*uses(1, name), guards=others))
    refuse(judge([loss(*uses(1, name), guards={name: IGNORE})]))


def test_all_that_must_be_ignored_is_said_at_once() -> None:
    said = refused(loss(*uses(1, "in_use"), *uses(1, "console")))
    assert said == (
        "0000:01:00.0 (10de:1db1) has the console of this host: use 1. It is in use: use 1. "
        "Release it, or take it anyway with `claims[0].guards: {console: ignore, in_use: ignore}`."
    )


def test_the_first_function_is_named_and_the_others_are_counted() -> None:
    said = refused(loss(*uses(1)), loss(*uses(1, "root"), device=SECOND), loss(*uses(1), device=FUNCTION))
    assert said.startswith("0000:01:00.0 (10de:1db1) is in use: use 1. 2 other devices are refused as well.")


@pytest.mark.parametrize(
    ("count", "sentence"),
    [(1, "use 1."), (3, "use 1; use 2; use 3."), (4, "use 1; use 2; use 3; and 1 more."), (7, "use 1; use 2; use 3; and 4 more.")],
)
def test_three_uses_are_named_and_the_others_counted(count: int, sentence: str) -> None:
    assert refused(loss(*uses(count))).startswith(f"0000:01:00.0 (10de:1db1) is in use: {sentence} Release")


def test_another_card_of_the_group_does_not_come_along_silently() -> None:
    said = refused(loss(device=SECOND, companion_of=FIRST))
    assert "0000:02:00.0 (10de:1db1) is not claimed: it would lose its driver" in said
    refuse(judge([loss(device=SECOND, companion_of=FIRST, guards={"companions": IGNORE})]))


def test_another_function_of_the_card_comes_along_unless_it_is_used() -> None:
    refuse(judge([loss(device=FUNCTION, companion_of=FIRST)]))
    said = refused(loss(*uses(1, "data_mounts"), device=FUNCTION, companion_of=FIRST))
    assert "guards: {data_mounts: ignore, companions: ignore}" in said


def test_an_identical_card_is_a_warning_and_a_refusal_where_the_host_needs_it() -> None:
    claim = Claim(())
    findings = identical(FIRST, claim, [(SECOND, uses(1, "in_use"))])
    refuse(findings)
    (warning,) = warnings(findings)
    assert warning == (
        "0000:01:00.0 (10de:1db1) may be mistaken for another card: 0000:02:00.0 has the same IDs, "
        "and the rule for 0000:01:00.0 would take it if addresses change."
    )
    with pytest.raises(HostError, match=r"0000:02:00.0 has the same IDs, which keeps this host running \(use 1\)"):
        refuse(identical(FIRST, claim, [(SECOND, uses(1, "root"))]))


@pytest.mark.parametrize("guard", ["root", "in_use"])
def test_a_claim_that_ignores_identical_cards_is_neither_refused_nor_warned_of(guard: UseGuard) -> None:
    findings = identical(FIRST, Claim((), guards={"identical": IGNORE}), [(SECOND, uses(1, guard))])
    refuse(findings)
    assert not warnings(findings)


def test_a_finding_says_whether_it_can_be_ignored() -> None:
    (finding,) = judge([loss(*uses(1, "root"))])
    assert isinstance(finding, GuardFinding)
    assert finding.result() == {"guard": "root", "what": "use 1", "action": "refuse", "can_be_ignored": False}


@pytest.mark.parametrize(
    ("guards", "sentence"),
    [
        ("console", "claims[2].guards: this is not a dictionary of guards."),
        ({"root": "ignore"}, "claims[2].guards: nothing overrides the guard root."),
        ({"disk": "ignore"}, "claims[2].guards: 'disk' is not a guard."),
        ({"console": "yes"}, "claims[2].guards.console: 'yes' is not allowed. Allowed is ignore"),
        ({"in_use": "refuse"}, "claims[2].guards.in_use: 'refuse' is not allowed."),
        ({"in_use": True}, "claims[2].guards.in_use: True is not allowed."),
    ],
)
def test_guards_that_are_not_understood_are_refused(guards: object, sentence: str) -> None:
    with pytest.raises(HostError, match=re.escape(sentence)):
        parse_one({"devices": "10de:1db1", "guards": guards}, 2)


def test_guards_without_a_value_have_their_default() -> None:
    assert parse_one({"devices": "10de:1db1", "guards": {"console": None, "in_use": "ignore"}}, 0).guards == {"in_use": "ignore"}


def test_the_table_of_the_guide_has_each_guard_as_it_is() -> None:
    lines = (ROOT / "docs/guards.md").read_text(encoding="utf-8").splitlines()
    start = lines.index("|---|---|---|---|---|") + 1
    assert tuple(lines[start : lines.index("", start)]) == table()

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rules do at events that a program asks for once devices have drivers: what a program says of itself is not all it does."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.compared_rules import ComparedRules
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import Modprobe
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.replays import REPLAY, with_replays
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.stage_events import StageEvents
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
from ansible_collections.vfio.variants.tests.unit.boots import boot, device, stage

CARD, OTHER = device("0000:01:00.0"), device("0000:02:00.0", "8086:10d3", class_code=0x020000)
DEVICES = {one.address: one for one in (CARD, OTHER)}
ASKING = Influence("/etc/rc.local:3", "runs udevadm trigger", frozenset((REPLAY,)))
RULES = "/etc/udev/rules.d/70-site.rules"
MINE = f'KERNEL=="{CARD.address}"'


def replayed(*rules: str, asking: t.Sequence[Influence] = (ASKING,)) -> tuple[Influence, ...]:
    """What the events bring beside the influences that there are."""
    whole = boot(stage(rules={RULES: "".join(f"{rule}\n" for rule in rules)}))
    events = StageEvents(ComparedRules(whole, whole.stages[0], DEVICES), Modprobe(whole, whole.stages[0], frozenset()))
    found = with_replays(asking, lambda: events, list(DEVICES.values()))
    assert found[: len(asking)] == tuple(asking)
    return found[len(asking) :]


@pytest.mark.parametrize("condition", ['ACTION=="change"', 'ACTION!="remove"', 'ACTION=="add", DRIVER=="nouveau"', 'ACTION=="add|change"'])
def test_a_binding_that_such_an_event_ends_is_blamed_on_who_asks_for_it(condition: str) -> None:
    (found, *others) = replayed(f'{condition}, {MINE}, ATTR{{driver/unbind}}="$kernel"')
    assert not others
    assert (found.source, found.fact) == (ASKING.source, f"{ASKING.fact}, at whose events {RULES}:1 acts")
    assert (found.acts, found.addresses) == (frozenset(("unbind",)), frozenset((CARD.address,)))


@pytest.mark.parametrize(
    "rule",
    [
        # Written, or loaded, once more with the same outcome.
        f'{MINE}, ATTR{{driver_override}}="vfio-pci"',
        f'{MINE}, RUN{{builtin}}+="kmod load vfio-pci"',
        f'ACTION=="add", {MINE}, ATTR{{driver_override}}="vfio-pci"',
        f'ACTION=="bind", {MINE}, ATTR{{driver/unbind}}="$kernel"',
    ],
)
def test_what_the_first_event_has_done_already_is_not_done_again(rule: str) -> None:
    assert replayed(rule) == ()


def test_what_only_these_events_write_or_load_counts() -> None:
    change = f'ACTION=="change", {MINE}'
    (override,) = replayed(f'{change}, ATTR{{driver_override}}="vfio-pci"')
    assert (override.acts, override.addresses) == (frozenset(("override",)), frozenset((CARD.address,)))
    (load,) = replayed(f'{change}, RUN{{builtin}}+="kmod load vfio-pci"')
    assert (load.acts, load.addresses, load.modules) == (frozenset(("load",)), None, frozenset(("vfio_pci",)))


def test_a_program_of_such_an_event_may_do_something_to_its_device() -> None:
    (found,) = replayed(f'ACTION=="change", {MINE}, RUN+="/usr/local/sbin/unread"')
    assert (found.source, CARD.address in (found.addresses or (CARD.address,))) == (ASKING.source, True)


def test_nothing_comes_where_nobody_asks_or_no_udev_runs() -> None:
    rule = f'ACTION=="change", {MINE}, ATTR{{driver/unbind}}="$kernel"'
    other = Influence("/etc/rc.local:4", "loads nouveau", frozenset(("load",)))
    assert replayed(rule, asking=(other,)) == ()
    assert with_replays((ASKING,), lambda: None, [CARD]) == (ASKING,)

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a step's jobs can affect a device, each kind of job once."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import ROOT, Reason
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.boot_step import BootStep, EffectsByAddress, make_boot_step
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import Job
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import (
    OWN,
    Bind,
    IfDriver,
    NewId,
    Noticed,
    Remove,
    RemoveId,
    SetBusAutoprobe,
    SetOverride,
    Unbind,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import LoadRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciId
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import Key
from ansible_collections.vfio.variants.tests.unit.boots import device, stage

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import Effect

WHY, OTHERWISE = Reason("a", "says so"), Reason("b", "says so, too")
CARD, SECOND = device("0000:01:00.0"), device("0000:02:00.0")
OWN_OVERRIDE = SetOverride(OWN, "vfio-pci", WHY)
ID = PciId(0x10DE, 0x1DB1)


def load(*modules: str, why: Reason = WHY, **more: t.Any) -> LoadRequest:
    return LoadRequest(modules[-1], modules, (why,), **more)


def step(*lists: tuple[Effect, ...], events: t.Mapping[str, tuple[Effect, ...]] | None = None, **counts: int) -> BootStep:
    """``counts`` are how many devices the card (``first``) and the second one (``second``) stand for."""
    devices = {CARD.address: counts.get("first", 1), SECOND.address: counts.get("second", 1)}
    return make_boot_step(stage(ROOT), ROOT, [Job(effects) for effects in lists], events or {}, devices)


def relevant(made: BootStep, *candidates: str) -> list[tuple[tuple[Effect, ...], bool]]:
    return [(job.effects, job.own) for job in made.relevant_jobs(CARD, frozenset(candidates))]


def test_a_job_matters_that_loads_a_candidate_or_what_brings_one() -> None:
    native, other, with_softdep = load("nouveau"), load("e1000e"), load("nouveau", "e1000e")
    made = step((native,), (other,), (with_softdep,))
    assert relevant(made, "nouveau") == [((native,), False), ((with_softdep,), False)]
    assert relevant(made, "e1000e") == [((other,), False)]
    assert len(relevant(made, "nouveau", "e1000e")) == 3
    assert relevant(made) == []
    mixed = step((native, other))
    assert relevant(mixed, "e1000e") == [((other,), False)]


def test_a_job_matters_that_writes_to_the_device_or_to_all() -> None:
    to_card, to_second = SetOverride(CARD.address, "x", WHY), SetOverride(SECOND.address, "x", WHY)
    made = step((to_card, to_second), (to_second,), (NewId("x", ID, WHY),), (RemoveId("x", ID, WHY),), (SetBusAutoprobe(False, WHY),))
    assert [effects for effects, _own in relevant(made)] == [
        (to_card,),
        (NewId("x", ID, WHY),),
        (RemoveId("x", ID, WHY),),
        (SetBusAutoprobe(False, WHY),),
    ]


def test_what_is_not_simulated_does_nothing_here() -> None:
    noticed = Noticed(Influence("a", "b"))
    assert relevant(step((noticed,), (load("nouveau"), noticed)), "nouveau") == [((load("nouveau"),), False)]
    assert relevant(step(events={CARD.address: (noticed, OWN_OVERRIDE)})) == [((OWN_OVERRIDE,), True)]


def test_the_devices_own_event_comes_first_and_is_its_own() -> None:
    own, foreign = (OWN_OVERRIDE, load("nouveau")), (OWN_OVERRIDE, load("e1000e"))
    made = step((load("vfio_pci"),), events={SECOND.address: foreign, CARD.address: own})
    assert relevant(made, "nouveau", "e1000e", "vfio_pci") == [(own, True), ((load("vfio_pci"),), False), ((load("e1000e"),), False)]
    assert relevant(made) == [((OWN_OVERRIDE,), True)]


def test_of_jobs_that_do_the_same_one_is_enough_whatever_their_reasons() -> None:
    made = step((load("nouveau"),), (load("nouveau", why=OTHERWISE),), (load("nouveau", aliases=(("nouveau", "x"),)),))
    assert len(relevant(made, "nouveau")) == 2
    dependent = step((load("x", "nouveau"),), (load("y", "nouveau"),))
    assert len(relevant(dependent, "nouveau")) == 1
    assert len(relevant(dependent, "nouveau", "x")) == 2


@pytest.mark.parametrize(("first", "second", "jobs"), [(1, 0, 1), (1, 1, 1), (2, 0, 1)])
def test_an_event_that_identical_cards_share_is_also_that_of_another(first: int, second: int, jobs: int) -> None:
    """What it does the device's own event does as well, so the order does not matter."""
    shared = (load("nouveau"),)
    events = {CARD.address: shared, **({SECOND.address: shared} if second else {})}
    assert len(relevant(step(events=events, first=first), "nouveau")) == jobs


def test_an_identical_cards_event_may_load_the_driver_before_the_devices_own_override() -> None:
    effects = (OWN_OVERRIDE, load("nouveau"))
    alone = step(events={CARD.address: effects})
    assert relevant(alone, "nouveau") == [(effects, True)]
    for made in (step(events={CARD.address: effects}, first=2), step(events={CARD.address: effects, SECOND.address: effects})):
        assert relevant(made, "nouveau") == [(effects, True), ((load("nouveau"),), False)]
    equal = step(events={CARD.address: effects, SECOND.address: (OWN_OVERRIDE, load("nouveau", why=OTHERWISE))})
    assert relevant(equal, "nouveau")[1:] == [((load("nouveau"),), False)]
    program = step(effects, events={CARD.address: effects})
    assert len(relevant(program, "nouveau")) == 2


def test_events_that_write_the_same_to_all_named_devices_do_not_race() -> None:
    to_both = (SetOverride(CARD.address, "x", WHY), SetOverride(SECOND.address, "x", WHY))
    same = step(events={CARD.address: to_both, SECOND.address: (*to_both, load("e1000e"))})
    assert relevant(same) == [(to_both[:1], True)]
    to_one = (SetOverride(CARD.address, "x", WHY),)
    other = step(events={CARD.address: to_both, SECOND.address: to_one})
    assert len(relevant(other)) == 2


def test_what_depends_on_another_devices_driver_is_not_about_this_one() -> None:
    asks = IfDriver((Key("DRIVER", None, "==", "x"),), SetOverride(CARD.address, "x", WHY))
    assert relevant(step(events={SECOND.address: (asks,)})) == []
    assert relevant(step(events={CARD.address: (asks,)})) == [((asks,), True)]


@pytest.mark.parametrize(
    ("effect", "takes_away"),
    [
        (Unbind(OWN, WHY), True),
        (Remove(SECOND.address, WHY), True),
        (IfDriver((), Unbind(OWN, WHY)), True),
        (Bind(OWN, "x", WHY), False),
        (OWN_OVERRIDE, False),
        (load("nouveau"), False),
    ],
)
def test_a_step_takes_devices_away_if_a_job_unbinds_or_removes_one(effect: Effect, takes_away: bool) -> None:
    assert step((load("e1000e"), effect)).takes_away is takes_away


def test_a_jobs_effects_are_found_by_address_in_their_order() -> None:
    effects = (SetOverride(CARD.address, "x", WHY), load("a"), Bind(OWN, "y", WHY), SetOverride(SECOND.address, None, WHY), load("b"))
    found = EffectsByAddress.of(Job(effects))
    assert found.about(CARD.address) == (effects[0], effects[1], effects[4])
    assert found.about(CARD.address, OWN) == (effects[0], effects[1], effects[2], effects[4])
    assert found.about() == (effects[1], effects[4])
    assert found.overrides == {"x", "y"}
    assert EffectsByAddress.of(Job((IfDriver((), SetOverride(OWN, "z", WHY)),))).overrides == {"z"}

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One device in one step of a boot: which orders of jobs are tried, and what each effect does to the device."""

from __future__ import annotations

import dataclasses
import itertools
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import ROOT, Reason
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import (
    DeviceSimulation,
    DeviceState,
    Job,
    ProbeContext,
    Registration,
    orders,
    with_id,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import (
    OWN,
    AfterUnbind,
    Bind,
    IfDriver,
    NewId,
    Noticed,
    ProbeNow,
    Remove,
    RemoveId,
    SetAutoprobe,
    SetBusAutoprobe,
    SetOverride,
    Unbind,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import LoadRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciDriver, PciId
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import Key
from ansible_collections.vfio.variants.tests.unit.boots import device

CARD = device()
WHY = Reason("a rule", "says so")
NATIVE = Registration(PciDriver("nouveau", (PciId(0x10DE),)), "nouveau", False)
OTHER_NATIVE = Registration(PciDriver("nvidia", (PciId(0x10DE),)), "nvidia", False)
VFIO = Registration(PciDriver("vfio-pci", (PciId(override_only=True),)), "vfio_pci", True)
FOREIGN = Registration(PciDriver("e1000e", (PciId(0x8086),)), "e1000e", False)
BY_MODULE = {one.module: (one,) for one in (NATIVE, OTHER_NATIVE, VFIO, FOREIGN)}


def load(*modules: str, module: str | None = None) -> LoadRequest:
    return LoadRequest(module or modules[-1], modules, (Reason("a list", f"loads {modules[-1]}"),))


def context(**changes: t.Any) -> ProbeContext:
    given: dict[str, t.Any] = {"registers": lambda module, _alias: BY_MODULE.get(module, ()), "no_iommu": None, "denylist_disabled": False}
    return ProbeContext(CARD, ROOT, "/", **{**given, **changes})


def run(
    *effects: t.Any,
    state: DeviceState = DeviceState(),  # noqa: B008 - frozen
    registered: t.Sequence[Registration] = (),
    loaded: t.Container[str] = (),
    own: bool = True,
    late: bool = False,
    waiting: bool = False,
    **changes: t.Any,
) -> DeviceState:
    return DeviceSimulation(context(**changes), state, registered, loaded, late, waiting).run([Job(effects, own)])


def names(order: t.Iterable[Job]) -> str:
    """Each module that is inserted, and `!` where an override is set."""
    found = ""
    for job in order:
        for effect in job.effects:
            found += "".join(effect.insertions) if isinstance(effect, LoadRequest) else "!"
    return found


OVERRIDE = SetOverride(OWN, "vfio-pci", WHY)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_jobs_are_tried_in_every_order(count: int) -> None:
    jobs = [Job((load(letter),)) for letter in "abc"[:count]]
    assert sorted({names(order) for order in orders(jobs)}) == ["".join(order) for order in itertools.permutations("abc"[:count])]


def test_of_many_jobs_each_is_first_once_before_and_once_after_the_device_s_own_event() -> None:
    jobs = [Job((load(letter),)) for letter in "abcd"]
    own = Job((load("x"),), own=True)
    found = [names(order) for order in orders([*jobs, own])]
    assert {one[:2] for one in found} == {"ax", "bx", "cx", "dx", "xa", "xb", "xc", "xd"}
    assert all(sorted(one) == list("abcdx") for one in found)


def test_many_jobs_without_an_event_of_the_device_are_each_first_once() -> None:
    found = [names(order) for order in orders([Job((load(letter),)) for letter in "abcd"])]
    assert {one[0] for one in found} == set("abcd")
    assert all(sorted(one) == list("abcd") for one in found)


def test_an_override_may_come_between_any_two_insertions_of_another_job() -> None:
    own = Job((OVERRIDE,), own=True)
    found = {names(order) for order in orders([Job((load("a", "b"), load("c"))), own])}
    assert found == {"!abc", "abc!", "a!bc", "ab!c"}
    with_more = {names(order) for order in orders([Job((load("a", "b"),)), Job((load("x"),)), own])}
    assert "a!bx" in with_more


def test_an_event_that_only_loads_interrupts_nothing() -> None:
    found = {names(order) for order in orders([Job((load("a", "b"),)), Job((load("x"),), own=True)])}
    assert found == {"abx", "xab"}


def test_the_first_driver_that_matches_has_the_device_and_keeps_it() -> None:
    assert run(load("nouveau"), load("nvidia")).driver == "nouveau"
    assert run(load("nvidia"), load("nouveau")).driver == "nvidia"
    assert run(load("e1000e"), load("nouveau")).driver == "nouveau"
    won = run(load("nouveau"))
    assert (won.stage, won.doubt, [str(fact) for fact in won.because]) == (ROOT, None, ["a list: loads nouveau"])


def test_an_override_decides_what_is_registered_after_it_and_takes_no_device_away() -> None:
    assert run(OVERRIDE, load("nouveau"), load("vfio_pci")).driver == "vfio-pci"
    assert run(load("nouveau"), OVERRIDE, load("vfio_pci")).driver == "nouveau"
    assert run(load("vfio_pci"), OVERRIDE).driver is None
    assert run(load("vfio_pci"), OVERRIDE, ProbeNow(OWN, WHY)).driver == "vfio-pci"
    assert run(OVERRIDE, SetOverride(OWN, None, WHY), load("nouveau")).driver == "nouveau"
    assert str(run(OVERRIDE, load("vfio_pci")).because[0]) == "a rule: says so"


@pytest.mark.parametrize(
    ("address", "own", "meant"),
    [(OWN, True, True), (OWN, False, False), (CARD.address, True, True), (CARD.address, False, True), ("0000:99:00.0", True, False)],
)
def test_an_effect_is_about_the_device_that_it_names(address: str, own: bool, meant: bool) -> None:
    assert run(SetOverride(address, "vfio-pci", WHY), own=own).override == ("vfio-pci" if meant else None)
    held = DeviceState("nouveau", stage=ROOT)
    assert (run(Unbind(address, WHY), own=own, state=held).driver is None) is meant
    assert (run(ProbeNow(address, WHY), own=own, registered=[NATIVE]).driver == "nouveau") is meant


def test_a_module_that_is_in_already_is_not_inserted_again_nor_what_comes_with_it() -> None:
    assert run(load("nouveau"), loaded={"nouveau"}).driver is None
    assert run(load("nouveau", "vfio_pci"), loaded={"vfio_pci"}).driver is None
    assert run(load("nouveau", "vfio_pci"), loaded={"nouveau"}).driver is None
    assert run(load("e1000e", "nouveau"), loaded={"e1000e"}).driver == "nouveau"
    twice = run(load("nouveau"), Unbind(OWN, WHY), load("nouveau"))
    assert (twice.driver, twice.stage, [str(fact) for fact in twice.because]) == (None, None, ["a rule: says so"])


def test_what_is_registered_is_offered_in_its_order() -> None:
    assert run(ProbeNow(OWN, WHY), registered=[VFIO, OTHER_NATIVE, NATIVE]).driver == "nvidia"
    assert run(load("nouveau"), Unbind(OWN, WHY), ProbeNow(OWN, WHY), registered=[FOREIGN]).driver == "nouveau"
    assert [str(fact) for fact in run(ProbeNow(OWN, WHY), registered=[NATIVE]).because] == ["a rule: says so"]


def test_the_event_of_an_unbind_comes_only_where_a_driver_had_the_device() -> None:
    effects = (AfterUnbind(), OVERRIDE)
    assert run(*effects).override is None
    assert run(Unbind(OWN, WHY), *effects).override is None
    assert run(Unbind(OWN, WHY), *effects, state=DeviceState("nouveau")).override == "vfio-pci"


def test_a_new_id_has_the_driver_take_the_device_if_it_is_of_that_id() -> None:
    mine, other = NewId("vfio-pci", PciId(0x10DE, 0x1DB1), WHY), NewId("vfio-pci", PciId(0x8086, 0x10D3), WHY)
    assert run(mine, registered=[VFIO]).driver == "vfio-pci"
    assert run(load("vfio_pci"), mine).driver == "vfio-pci"
    assert run(other, registered=[VFIO]).driver is None
    assert run(mine).driver is None
    assert run(mine, registered=[VFIO], state=DeviceState("nouveau")).driver == "nouveau"
    # Nobody else is offered the device, and what is registered later has no such ID.
    assert run(mine, registered=[NATIVE]).driver is None
    assert run(mine, load("vfio_pci")).driver is None
    won = run(mine, registered=[VFIO])
    assert [str(fact) for fact in won.because] == ["a rule: says so"]
    assert with_id(NATIVE, mine) is NATIVE
    assert with_id(dataclasses.replace(VFIO, ids=(PciId(0x8086),)), mine).ids == (PciId(0x8086), PciId(0x10DE, 0x1DB1))


def test_a_driver_that_refuses_leaves_the_device_to_the_next() -> None:
    dynamic = dataclasses.replace(VFIO, ids=(PciId(0x10DE),), ids_because=WHY)
    assert run(ProbeNow(OWN, WHY), registered=[dynamic, NATIVE], no_iommu="there is no IOMMU").driver == "nouveau"
    refused = run(ProbeNow(OWN, WHY), registered=[dynamic], no_iommu="there is no IOMMU")
    assert (refused.driver, [str(fact) for fact in refused.because]) == (None, ["vfio-pci: there is no IOMMU"])
    assert run(ProbeNow(OWN, WHY), registered=[NATIVE, OTHER_NATIVE], declined=frozenset(("nouveau",))).driver == "nvidia"
    assert run(ProbeNow(OWN, WHY), registered=[NATIVE], no_iommu="there is no IOMMU").driver == "nouveau"


def test_a_native_that_an_override_names_for_a_foreign_device_may_refuse_it() -> None:
    to_foreign = SetOverride(OWN, "e1000e", WHY)
    assert "not in its ID table" in str(run(to_foreign, load("e1000e")).doubt)
    assert run(SetOverride(OWN, "nouveau", WHY), load("nouveau")).doubt is None
    assert run(OVERRIDE, load("vfio_pci")).doubt is None
    freed = run(to_foreign, load("e1000e"), Unbind(OWN, WHY))
    assert freed.doubt is None


@pytest.mark.parametrize(("autoprobe", "override", "driver"), [(True, None, "nouveau"), (False, None, None), (False, "nouveau", "nouveau")])
def test_a_virtual_function_is_offered_as_its_card_says(autoprobe: bool, override: str | None, driver: str | None) -> None:
    function = dataclasses.replace(CARD, physical_function="0000:02:00.0")
    play = DeviceSimulation(
        dataclasses.replace(context(autoprobe=autoprobe), device=function), DeviceState(override=override), [NATIVE], ()
    )
    play.offer_all()
    assert play.state.driver == driver


def test_what_an_image_holds_is_told_as_a_reason() -> None:
    state = DeviceSimulation(dataclasses.replace(context(), place="/boot/initrd.img"), DeviceState(), (), ()).run([Job((load("nouveau"),))])
    assert [str(fact) for fact in state.because] == ["a list: loads nouveau", "/boot/initrd.img: contains nouveau"]


def test_where_ids_and_an_override_agree_the_override_is_the_reason() -> None:
    dynamic = dataclasses.replace(VFIO, ids=(PciId(0x10DE),), ids_because=Reason("modprobe.d", "ids"))
    by_ids = run(ProbeNow(OWN, WHY), registered=[dynamic])
    assert [str(fact) for fact in by_ids.because] == ["modprobe.d: ids", "a rule: says so"]
    both = run(
        ProbeNow(OWN, WHY), registered=[dynamic], state=DeviceState(override="vfio-pci", override_because=(Reason("udev", "override"),))
    )
    assert [str(fact) for fact in both.because] == ["udev: override", "a rule: says so"]
    of_another = dataclasses.replace(dynamic, ids=(PciId(0x8086),))
    assert [str(fact) for fact in run(ProbeNow(OWN, WHY), registered=[dataclasses.replace(of_another, driver=NATIVE.driver)]).because] == [
        "a rule: says so"
    ]


DETACHED = dataclasses.replace(NATIVE, detached=Reason("modprobe.d", "async_probe"))


def test_a_probe_that_nobody_waits_for_ends_at_once_or_after_all_jobs() -> None:
    late: dict[str, t.Any] = {"registers": lambda module, _alias: {"nouveau": (DETACHED,), "nvidia": (OTHER_NATIVE,)}[module]}
    assert run(load("nouveau"), load("nvidia"), **late).driver == "nouveau"
    waiting = run(load("nouveau"), late=True, **late)
    assert (waiting.driver, [one.driver.name for one, _why in waiting.pending]) == (None, ["nouveau"])
    assert run(load("nouveau"), load("nvidia"), late=True, **late).driver == "nvidia"
    done = DeviceSimulation(context(), waiting, (), ()).probe_pending()
    assert (done.driver, done.pending) == ("nouveau", ())
    assert [str(fact) for fact in done.because] == ["a list: loads nouveau", "modprobe.d: async_probe"]
    # The next step waits for it no longer, unless it goes on even then.
    assert run(load("nvidia"), state=waiting, **late).driver == "nouveau"
    assert run(load("nvidia"), state=waiting, late=True, **late).driver == "nvidia"
    assert DeviceState().outcome != waiting.outcome


def test_a_function_that_does_not_exist_has_nothing_happen_to_it() -> None:
    gone = DeviceState(exists=False)
    assert run(OVERRIDE, load("nouveau"), state=gone) == gone
    assert gone.outcome != DeviceState().outcome


# -- the other attributes


BOUND = DeviceState(driver="nouveau", stage=ROOT, because=(WHY,), doubt="x")


def test_bind_offers_the_device_to_one_driver_alone() -> None:
    both = (NATIVE, OTHER_NATIVE)
    assert run(Bind(OWN, "nvidia", WHY), registered=both).driver == "nvidia"
    assert run(Bind(CARD.address, "nvidia", WHY), registered=both, own=False).driver == "nvidia"
    assert run(Bind(OWN, "e1000e", WHY), registered=(*both, FOREIGN)).driver is None
    assert run(Bind(OWN, "nvidia", WHY), registered=both, state=BOUND).driver == "nouveau"
    assert run(load("nvidia"), Bind(OWN, "nvidia", WHY), state=DeviceState(bus_autoprobe=False)).driver == "nvidia"
    assert run(Bind(OWN, "nouveau", WHY), registered=both).because == (WHY,)


def test_unbind_takes_the_device_from_any_driver_or_from_one() -> None:
    free = run(Unbind(OWN, WHY), state=BOUND)
    assert (free.driver, free.stage, free.because, free.doubt) == (None, None, (WHY,), None)
    assert run(Unbind(OWN, WHY, "nouveau"), state=BOUND).driver is None
    assert run(Unbind(OWN, WHY, "nvidia"), state=BOUND) == BOUND
    assert run(Unbind(OWN, WHY), Unbind(OWN, WHY), AfterUnbind(), OVERRIDE, state=BOUND).override == "vfio-pci"
    assert run(Unbind(OWN, WHY, "nvidia"), AfterUnbind(), OVERRIDE, state=BOUND).override is None


def test_a_removed_device_is_gone_and_nothing_happens_to_it() -> None:
    state = DeviceState(driver="nouveau", override="x", bus_autoprobe=False)
    gone = run(Remove(OWN, WHY), OVERRIDE, load("nouveau"), state=state)
    assert (gone.driver, gone.exists, gone.because, gone.bus_autoprobe) == (None, False, (WHY,), False)
    assert run(Remove("0000:09:00.0", WHY), state=BOUND) == BOUND


def test_without_the_bus_probing_a_driver_that_registers_does_not_get_the_device() -> None:
    off, on = SetBusAutoprobe(False, Reason("a", "drivers_autoprobe=0")), SetBusAutoprobe(True, Reason("b", "drivers_autoprobe=1"))
    state = run(off, load("nouveau"))
    assert (state.driver, state.bus_autoprobe, state.override_because) == (None, False, (off.because,))
    assert run(off, on, load("nouveau")).driver == "nouveau"
    assert run(off, on).override_because == ()
    assert run(off, off).override_because == (off.because,)
    assert run(OVERRIDE, off).override_because == (WHY, off.because)
    assert run(off, load("nouveau"), ProbeNow(OWN, WHY)).driver == "nouveau"
    assert run(off, NewId("e1000e", PciId(0x10DE, 0x1DB1), WHY), registered=(FOREIGN,)).driver == "e1000e"


def test_what_is_not_simulated_or_about_virtual_functions_changes_nothing() -> None:
    for effect in (Noticed(Influence("a", "b")), SetAutoprobe(OWN, False, WHY)):
        assert run(effect, state=BOUND) == BOUND


def test_an_id_that_is_removed_counts_no_longer() -> None:
    new = NewId("e1000e", PciId(0x10DE, 0x1DB1), WHY)
    gone = RemoveId("e1000e", PciId(0x10DE, 0x1DB1), WHY)
    assert run(new, Unbind(OWN, WHY), gone, ProbeNow(OWN, WHY), registered=(FOREIGN,)).driver is None
    assert run(new, Unbind(OWN, WHY), RemoveId("nouveau", gone.id, WHY), ProbeNow(OWN, WHY), registered=(FOREIGN,)).driver == "e1000e"
    assert run(load("e1000e"), new).driver == "e1000e"
    assert run(load("e1000e"), NewId("nvidia", new.id, WHY)).driver is None


@pytest.mark.parametrize(
    ("kept", "removed", "left"),
    [
        (PciId(0x10DE, 0x1DB1), PciId(0x10DE, 0x1DB1), 0),
        (PciId(0x10DE, 0x1DB1), PciId(0x10DE, 0x1DB2), 1),
        (PciId(0x10DE, 0x1DB1), PciId(0x10DF, 0x1DB1), 1),
        (PciId(0x10DE, 0x1DB1, 1), PciId(0x10DE, 0x1DB1), 1),
        (PciId(0x10DE, 0x1DB1, 1, 2), PciId(0x10DE, 0x1DB1, 1, 3), 1),
        (PciId(0x10DE, 0x1DB1, 1, 2), PciId(0x10DE, 0x1DB1, 1, 2), 0),
        (PciId(0x10DE, 0x1DB1, 1, 2, 0x030000, 0xFF0000), PciId(0x10DE, 0x1DB1, 1, 2), 0),
        (PciId(0x10DE, 0x1DB1, 1, 2, 0x030000, 0xFF0000), PciId(0x10DE, 0x1DB1, 1, 2, 0x040000, 0xFF0000), 1),
        (PciId(0x10DE, 0x1DB1, 1, 2, 0x030000, 0xFF0000), PciId(0x10DE, 0x1DB1, 1, 2, 0x030200, 0xFF0000), 0),
        (PciId(0x10DE, 0x1DB1, 1, 2, 0x030000, 0xFF0000), PciId(0x10DE, 0x1DB1, 1, 2, 0x030200, 0xFFFF00), 1),
    ],
)
def test_remove_id_compares_numbers_and_the_class_under_its_own_mask(kept: PciId, removed: PciId, left: int) -> None:
    """remove_id_store() in drivers/pci/pci-driver.c."""
    given = dataclasses.replace(FOREIGN, ids=(kept,))
    assert len(with_id(given, RemoveId("e1000e", removed, WHY)).ids) == left
    assert with_id(given, RemoveId("nvidia", removed, WHY)) == given


# -- what depends on the driver, and the events that drivers cause


def if_driver(name: str, effect: t.Any, operator: str = "==") -> IfDriver:
    return IfDriver((Key("DRIVER", None, operator, name),), effect)


def test_an_event_asks_once_which_driver_the_device_has() -> None:
    assert run(if_driver("nouveau", OVERRIDE), state=BOUND).override == "vfio-pci"
    assert run(if_driver("nouveau", OVERRIDE)).override is None
    assert run(if_driver("nouveau", Unbind(OWN, WHY)), if_driver("nouveau", OVERRIDE), state=BOUND).override == "vfio-pci"
    assert run(if_driver("", load("nouveau")), if_driver("nouveau", OVERRIDE)).override is None
    assert run(load("nouveau"), if_driver("nouveau", OVERRIDE)).override == "vfio-pci"
    here = dataclasses.replace(OVERRIDE, address=CARD.address)
    assert run(if_driver("nouveau", here), state=BOUND, own=False).override is None


def test_a_driver_that_comes_or_goes_causes_an_event_of_the_device() -> None:
    assert run(load("nouveau"), on_bind=(OVERRIDE,)).override == "vfio-pci"
    assert run(Unbind(OWN, WHY), state=BOUND, on_unbind=(OVERRIDE,)).override == "vfio-pci"
    assert run(Unbind(OWN, WHY), on_unbind=(OVERRIDE,)).override is None
    assert run(load("e1000e"), on_bind=(OVERRIDE,)).override is None


def test_the_event_comes_at_once_or_after_what_the_job_still_does() -> None:
    def moved(waiting: bool) -> str | None:
        return run(load("nouveau"), load("nvidia"), on_bind=(if_driver("nouveau", Unbind(OWN, WHY)),), waiting=waiting).driver

    assert (moved(waiting=False), moved(waiting=True)) == ("nvidia", None)


def test_the_event_of_a_module_comes_for_each_that_is_loaded() -> None:
    def on_load(module: str) -> tuple[t.Any, ...]:
        return (dataclasses.replace(OVERRIDE, address=CARD.address),) if module == "nvidia" else ()

    assert run(load("nouveau"), on_load=on_load).override is None
    assert run(load("nvidia"), on_load=on_load).override == "vfio-pci"
    assert run(load("nvidia"), on_load=on_load, loaded=("nvidia",)).override is None
    assert run(load("nvidia"), on_load=lambda _module: (OVERRIDE,)).override is None


def test_rules_that_rebind_for_ever_are_followed_some_times() -> None:
    def rebound(events: int) -> DeviceState:
        """The device is unbound and bound by each event until ``events`` of them are used up."""
        return run(load("nouveau"), on_bind=(if_driver("nouveau", Unbind(OWN, WHY)), Bind(OWN, "nouveau", WHY)) * events)

    assert rebound(0).doubt is None
    endless = rebound(1)
    assert endless.doubt == "Rules rebind the device again and again, each time in an event of that."
    once = run(load("nouveau"), on_bind=(if_driver("nouveau", Unbind(OWN, WHY)), Bind(OWN, "nvidia", WHY)), registered=(OTHER_NATIVE,))
    assert (once.driver, once.doubt) == ("nvidia", None)


def test_no_event_follows_for_a_device_that_is_gone() -> None:
    state = run(load("nouveau"), Remove(OWN, WHY), on_bind=(OVERRIDE,), waiting=True)
    assert (state.exists, state.override) == (False, None)

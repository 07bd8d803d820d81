# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Predicts which driver each device is bound to after a boot, by simulating one kernel's boot stage by stage."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import (
    CERTAIN,
    KERNEL,
    RACE,
    RUNTIME,
    UNKNOWN,
    Coldplug,
    Reason,
    Winner,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast import matching
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.alternatives import Trial, distinct
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.boot_step import BootStep, make_boot_step
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.built_ins import BuiltIns, unlisted
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.compared_rules import ComparedStages
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import (
    DeviceSimulation,
    DeviceState,
    Job,
    ProbeContext,
    Registration,
    with_id,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import (
    OWN,
    AfterUnbind,
    Bind,
    IfDriver,
    NewId,
    RemoveId,
    SetAutoprobe,
    SetOverride,
    plain,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.equivalence import DeviceClasses
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.influences import Reach, Unclear
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.jobs import list_jobs, refusals_of
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.no_driver import why_none, why_not_loaded
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.outcomes import Before, Outcomes, unless_failed, unless_same
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.possible_loads import PossibleLoads
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import LoadRequest, Modprobe
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.reasons import Loaded, because_of, why_override_waits
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.registration import Registrar
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.replays import with_replays
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.runtime import jobs_of, may_fail, why_failed
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.stage_events import StageEvents, depend_on_driver, stage_events
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.virtual_functions import Existence
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import ANOTHER
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import UNBIND

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import (
        Boot,
        Certainty,
        Stage,
        StageName,
        Step,
    )
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import Effect
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence


BRIDGES = 0x06
VFIO, NO_IOMMU_MODE = "vfio", "enable_unsafe_noiommu_mode"


def forecast(devices: t.Sequence[Device], boot: Boot, only: t.Collection[Device] | None = None) -> dict[str, Winner]:
    """The winner of each device, or of those in ``only``, by address; indistinguishable devices share one object.

    A device's outcome does not depend on what happens to other devices, but on their events, which may load its driver.
    """
    kinds = DeviceClasses.of(devices, boot)
    asked = devices if only is None else only
    winners = _Simulation(devices, kinds, boot, asked).winners()
    return {device.address: winners[kinds.first[device.address].address] for device in asked}


class _Simulation:
    """The kernel's state between the steps, and the outcomes of one device of each group that is asked for."""

    def __init__(self, devices: t.Sequence[Device], kinds: DeviceClasses, boot: Boot, asked: t.Collection[Device]) -> None:
        self._boot = boot
        self._devices = kinds.representatives
        self._counts = {address: len(members) for address, members in kinds.members.items()}
        self._by_address = {device.address: device for device in devices}
        self._no_iommu, self._unserved = matching.why_off(devices, boot), matching.unserved(devices, boot)
        self._registrar = Registrar(boot, devices)
        self._noticed: list[Influence] = []
        self._locks: dict[Influence, None] = {}
        self._noiommu = bool(boot.stages) and VFIO in boot.stages[-1].kernel.builtins and self._registrar.is_set(None, VFIO, NO_IOMMU_MODE)
        self._registered: list[Registration] = []
        self._loaded: dict[str, None] = {}
        followed = {kinds.first[device.address].address for device in asked}
        # Whether a virtual function exists depends on the physical function's driver.
        followed.update(device.physical_function for device in asked if device.physical_function is not None)
        if any(depend_on_driver(stage.rules) for stage in boot.stages):
            followed.update(device.address for device in self._devices)
        self._outcomes = {device.address: Outcomes() for device in self._devices if device.address in followed}
        self._autoprobe: dict[str, SetAutoprobe] = {}
        self._events: StageEvents | None = None
        self._rules = ComparedStages(boot, self._by_address)
        self._may_load = PossibleLoads(self._loaded)

    def winners(self) -> dict[str, Winner]:
        present = [device for device in self._devices if not device.is_virtual]
        self._kernel_stage(present)
        for doubt in self._boot.doubts:
            self._doubt(present, doubt)
        for stage in self._boot.stages:
            self._stage(stage, present)
        self._runtime_stage(present)
        return {device.address: self._winner(device) for device in self._followed(self._devices)}

    def _followed(self, devices: t.Iterable[Device]) -> t.Iterator[Device]:
        return (device for device in devices if device.address in self._outcomes)

    def _kernel_stage(self, devices: t.Sequence[Device]) -> None:
        """Built-in drivers register in link order before any user space; PCI has been enumerated by then."""
        self._registered = list(self._registrar.built_in())
        built_ins = BuiltIns(self._boot, self._registrar, self._registered)
        for device in self._followed(devices):
            context = self._context(device, KERNEL, f"kernel {self._boot.release}", None)
            self._outcomes[device.address] = built_ins.outcomes(device, context, self._outcomes[device.address])

    def _stage(self, stage: Stage, present: t.Sequence[Device]) -> None:
        for doubt in stage.doubts:
            self._doubt(present, doubt)
        before = self._now()
        reach = self._reach(stage)
        events = stage_events(self._rules.of(stage), reach.modprobe)
        self._events = events
        self._may_load.note(reach, (*self._boot.influences, *stage.influences))
        for step in stage.steps:
            self._step(stage, stage.name, step, present)
        self._probe_pending(stage, present)
        of_others = () if events is None else events.of_others
        self._influence(reach, (*self._boot.influences, *stage.influences, *of_others, *self._noticed), present, before)
        self._noticed.clear()

    def _reach(self, stage: Stage) -> Reach:
        modprobe = Modprobe(self._boot, stage, frozenset(self._loaded), self._registrar.settings)
        return Reach(self._registrar, stage, modprobe, lambda device: self._context(device, stage.name, stage.place, stage))

    def _now(self) -> Before:
        states = {address: outcomes.states for address, outcomes in self._outcomes.items()}
        return Before(states, frozenset(one.driver.name for one in self._registered))

    def _influence(self, reach: Reach, influences: t.Sequence[Influence], devices: t.Sequence[Device], before: Before) -> None:
        """What is not simulated acts at any time between the states ``before`` and those of now; a lock stays."""
        influences = with_replays(influences, lambda: stage_events(self._rules.of(reach.stage), reach.modprobe), devices)
        influences = reach.with_commands((*influences, *self._locks))
        self._locks.update((one.only("lock"), None) for one in influences if "lock" in one.acts)
        for device in self._followed(devices) if influences else ():
            outcomes = self._outcomes[device.address]
            states = (*before.of(device), *outcomes.states)
            may_be_free = bool(outcomes.unclear) or any(reach.frees(one, device, states) for one in influences)
            needs_module = before.lacks_driver_of(outcomes)
            owners = ((one, reach.of(one, device, states, may_be_free, needs_module)) for one in influences)
            self._outcomes[device.address] = outcomes.also(*(Unclear(str(one), found) for one, found in owners if found))

    def _step(self, stage: Stage, name: StageName, step: Step, devices: t.Sequence[Device]) -> None:
        modprobe = Modprobe(self._boot, stage, frozenset(self._loaded), self._registrar.settings)
        lists = [job for work in step if not isinstance(work, Coldplug) for job in list_jobs(work, modprobe)]
        plugged = devices if any(isinstance(work, Coldplug) for work in step) else ()
        events = stage_events(self._rules.of(stage), modprobe)
        self._events = events
        before = self._now()
        loaded = frozenset(self._loaded)
        if events is not None:
            events.note_loads(self._may_load, self._reach(stage), plugged)
        if events is not None and plugged and name != RUNTIME:
            lists += events.replayed(self._registered)
        plugs = {} if events is None else {device.address: events.of(device) for device in plugged}
        self._run_step(stage, name, lists, plugs, devices)
        if events is not None:
            self._notice(stage, events, (plugged, devices), before, self._loaded.keys() - loaded)

    def _notice(
        self,
        stage: Stage,
        events: StageEvents,
        devices: tuple[t.Sequence[Device], t.Sequence[Device]],
        before: Before,
        loaded: t.Collection[str],
    ) -> None:
        """What is not simulated of the events of the ``devices`` that are plugged, and of the modules that were loaded."""
        plugged, concerned = devices
        now = self._now()
        states = {device.address: (*before.of(device), *now.of(device)) for device in self._followed(plugged)}
        found = (one for device in plugged for one in events.noticed(device, states.get(device.address)))
        influences = dict.fromkeys((*found, *events.noticed_of_modules(sorted(loaded))))
        if influences:
            self._influence(self._reach(stage), tuple(influences), concerned, before)

    def _probe_pending(self, stage: Stage, devices: t.Iterable[Device]) -> None:
        """Asynchronous probes end before the stage does."""
        for device in self._followed(devices):
            outcomes = self._outcomes[device.address]
            if any(state.pending for state in outcomes.states):
                context = self._context(device, stage.name, stage.place, stage)
                states = distinct(
                    DeviceSimulation(context, state, self._registered, self._loaded).probe_pending() for state in outcomes.states
                )
                self._outcomes[device.address] = dataclasses.replace(outcomes, states=states)

    def _run_step(
        self, stage: Stage, name: StageName, lists: list[Job], events: t.Mapping[str, tuple[Effect, ...]], devices: t.Sequence[Device]
    ) -> None:
        step = make_boot_step(stage, name, lists, events, self._counts)
        for device in self._followed(devices):
            self._notice_autoprobe(device, step)
        self._outcomes.update({device.address: self._advanced(device, step) for device in self._followed(devices)})
        self._settle(step)

    def _settle(self, step: BootStep) -> None:
        """When a step ends, everything that its jobs load for certain is loaded, in whatever order; a Noticed says what may be."""
        for effect in (effect for job in step.jobs for effect in job.effects):
            self._settle_effect(step, effect)

    def _settle_effect(self, step: BootStep, effect: Effect) -> None:
        if isinstance(effect, LoadRequest):
            self._noticed += (one for one in effect.influences if one not in self._noticed)
            for module in self._insert(effect, step.stage):
                for caused in () if self._events is None else self._events.of_module(module):
                    self._settle_effect(step, caused)
        elif isinstance(effect, (NewId, RemoveId)):
            self._registered = [with_id(registration, effect) for registration in self._registered]

    def _insert(self, request: LoadRequest, stage: Stage) -> t.Iterator[str]:
        """Yields the modules that were not loaded before."""
        for module in request.insertions if request.module not in self._loaded else ():
            if module not in self._loaded:
                self._loaded[module] = None
                self._noiommu = self._noiommu or (module == VFIO and self._registrar.is_set(stage, VFIO, NO_IOMMU_MODE))
                self._registered += self._registrar.registers(stage, module, request.alias_of(module))
                yield module

    def _runtime_stage(self, present: t.Sequence[Device]) -> None:
        """What units do after udev has processed the devices; then virtual functions, which exist only from then on."""
        if not self._boot.stages:
            return
        root = self._boot.stages[-1]
        for doubt in self._boot.later.doubts:
            self._doubt(present, doubt)
        before, reach = self._now(), self._reach(root)
        modprobe = Modprobe(self._boot, root, frozenset(self._loaded), self._registrar.settings)
        self._events = None
        self._run_driverctl(root, modprobe, present)
        virtual = [device for device in self._devices if device.is_virtual]
        if virtual:
            events = StageEvents(self._rules.of(root), modprobe)
            for device in self._followed(virtual):
                self._appear(device, root, events.of(device))
            self._step(root, RUNTIME, (Coldplug(),), virtual)
            self._run_driverctl(root, Modprobe(self._boot, root, frozenset(self._loaded), self._registrar.settings), virtual)
        for address, taken in self._boot.later.may_take.items():
            if address in self._outcomes:
                self._outcomes[address] = self._outcomes[address].also(*unless_same(self._outcomes[address], taken))
        self._influence(reach, (*self._boot.influences, *self._boot.later.influences, *self._noticed), self._devices, before)

    def _run_driverctl(self, root: Stage, modprobe: Modprobe, devices: t.Sequence[Device]) -> None:
        """Its units start at the devices' events; those of virtual functions come with these."""
        is_virtual = any(device.is_virtual for device in devices)
        those = {address: device for address, device in self._by_address.items() if device.is_virtual == is_virtual}
        assigned = jobs_of(self._boot.later, modprobe, those)
        if assigned:
            before = self._now()
            self._events = StageEvents(self._rules.of(root), modprobe)
            self._run_step(root, RUNTIME, assigned, dict(self._unbind_events(root, modprobe, those)), devices)
            self._events = None
            for address in self._boot.later.driverctl.keys() & those.keys() & self._outcomes.keys():
                found = may_fail(self._boot.later, modprobe, address)
                outcomes = unless_failed(before, address, self._outcomes[address], found)
                failed = why_failed(self._boot.later, modprobe, address)
                self._outcomes[address] = dataclasses.replace(outcomes, refused=(*outcomes.refused, *failed))

    def _unbind_events(self, root: Stage, modprobe: Modprobe, those: t.Mapping[str, Device]) -> t.Iterator[tuple[str, tuple[Effect, ...]]]:
        """The "unbind" events of devices that driverctl may unbind: a rule that is not limited to "add" writes its override again.

        That may happen between driverctl's own override and its probe.
        """
        events = StageEvents(self._rules.of(root), modprobe)
        for address in self._boot.later.driverctl:
            if address in self._outcomes and address in those:
                yield address, (AfterUnbind(), *events.of(those[address], UNBIND))

    def _appear(self, device: Device, root: Stage, event: t.Sequence[Effect]) -> None:
        """A virtual function is offered to the registered drivers right after its event was sent to udev.

        pci_device_add() sends the event, pci_bus_add_device() attaches the driver: a rule may write an override in between.
        """
        written = [
            DeviceState(override=effect.driver, override_because=(effect.because,))
            for effect in (plain(one) for one in event if not isinstance(one, IfDriver) or one.holds(None, None))
            if isinstance(effect, SetOverride) and effect.address in (OWN, device.address)
        ]
        states: list[DeviceState] = []
        unclear: list[Unclear] = []
        existence = Existence(device, self._by_address.get(device.physical_function or ""), self._boot, self._registrar)
        for owner in self._outcomes[device.physical_function].states if device.physical_function in self._outcomes else (DeviceState(),):
            gone = existence.why_none(owner, root)
            if gone is not None:
                states.append(DeviceState(because=(gone,), exists=False))
                continue
            unclear += existence.doubts(owner, root)
            initial = DeviceState()
            if owner.driver is not None and self._registrar.is_vfio(owner.driver):
                why = Reason(owner.driver, "the kernel sets the override of virtual functions to the physical function's driver")
                initial = DeviceState(override=owner.driver, override_because=(why,))
            context = self._context(device, RUNTIME, "/", root)
            for first in (initial, *written):
                trial = Trial(context, (first,), self._registered, self._loaded)
                found, open_ends = trial.of(lambda context, first=first: self._offered(context, first, existence))  # type: ignore[misc]
                states += found
                unclear += open_ends
        unclear += self._doubts_of_maker(device, self._reach(root))
        self._outcomes[device.address] = Outcomes(distinct(states), tuple(unclear))

    def _doubts_of_maker(self, device: Device, reach: Reach) -> t.Iterator[Unclear]:
        physical = self._by_address.get(device.physical_function or "")
        outcomes = None if physical is None else self._outcomes.get(physical.address)
        if physical is not None and outcomes is not None and self._what_is_unclear(physical, outcomes):
            sentence = f"Which driver {physical.address}, the physical function of this virtual one, is bound to cannot be determined."
            yield Unclear(sentence, reach.anything(device))

    def _offered(self, context: ProbeContext, initial: DeviceState, existence: Existence) -> t.Iterator[DeviceState]:
        """The results of device_attach() for each possible order of the registered drivers."""
        drivers = [registration.driver for registration in self._registered]
        for order in matching.attach_order(drivers, self._boot.release):
            ordered = sorted(self._registered, key=lambda registration, order=order: order.index(registration.driver))  # type: ignore[misc]
            play = DeviceSimulation(context, initial, ordered, self._loaded)
            play.offer_all()
            found = play.state
            # The others have a reason of their own.
            yield found if found.driver is None or found.because else dataclasses.replace(found, because=(existence.why(found.driver),))

    def _advanced(self, device: Device, step: BootStep) -> Outcomes:
        outcomes = self._outcomes[device.address]
        if not outcomes.is_open and not step.takes_away:
            return outcomes
        candidates = self._candidates(device, step, outcomes)
        jobs = step.relevant_jobs(device, candidates)
        if not jobs:
            return outcomes
        context = self._context(device, step.name, step.stage.place, step.stage)
        eventful = self._events is not None and bool(self._events.eventful)
        trial = Trial(context, outcomes.states, self._registered, self._loaded, eventful)
        states, open_ends = trial.of_jobs(jobs)
        open_ends = (*open_ends, *self._may_load.unclear(device.address, trial, jobs, candidates, states))
        if not outcomes.is_open:
            return dataclasses.replace(outcomes, states=states).also(*open_ends)
        refused = tuple(refusal for job in jobs for refusal in refusals_of(job, candidates))
        return Outcomes(states, outcomes.unclear, (*outcomes.refused, *refused)).also(*open_ends)

    def _candidates(self, device: Device, step: BootStep, outcomes: Outcomes) -> frozenset[str]:
        """The modules whose insertion can bind the device in this step."""
        named = {state.override for state in outcomes.states if state.override is not None}
        own = step.own.get(device.address)
        indices = {*step.naming.get(device.address, ()), *step.naming.get(OWN, ()), *(() if own is None else (own,))}
        named.update(driver for index in indices for driver in step.concerns[index].overrides)
        added = (effect for index in indices for _place, effect in step.concerns[index].by_address.get(None, ()))
        further = () if self._events is None else self._events.further(device)
        for effect in map(plain, (*added, *further)):
            if isinstance(effect, (SetOverride, Bind)) or (isinstance(effect, NewId) and effect.id.matches(device)):
                named.update(() if effect.driver is None else (effect.driver,))
        found = {match.module for match in step.stage.kernel.natives(device.modalias)}
        found |= self._registrar.configured_natives(step.stage, device)
        found |= self._registrar.with_dynamic_id(step.stage, device)
        found |= {*self._registrar.kept_out(step.stage, device)}
        found |= frozenset() if self._events is None else self._events.eventful
        return frozenset(found | {module for name in named for module in self._registrar.modules_of(name)})

    def _notice_autoprobe(self, device: Device, step: BootStep) -> None:
        own = step.own.get(device.address)
        for index in (*step.naming.get(device.address, ()), *(() if own is None else (own,))):
            for effect in step.concerns[index].about(device.address, OWN):
                if isinstance(effect, SetAutoprobe) and (effect.address == device.address or index == own):
                    self._autoprobe[device.address] = effect

    def _doubt(self, devices: t.Sequence[Device], sentence: str) -> None:
        """A doubt about a stage applies to every device that is not certain to be bound by then and that a driver could match."""
        for device in self._followed(devices):
            outcomes = self._outcomes[device.address]
            if outcomes.is_open and self._registrar.is_wanted(device):
                self._outcomes[device.address] = outcomes.also(Unclear(sentence, self._anything(device)))

    def _anything(self, device: Device) -> tuple[str | None, ...]:
        """The possible owners where nothing is known of a stage."""
        return self._reach(self._boot.stages[-1]).anything(device) if self._boot.stages else (None, ANOTHER)

    def _context(self, device: Device, stage: StageName, place: str, at: Stage | None) -> ProbeContext:
        context = ProbeContext(
            device,
            stage,
            place,
            self._registrar.registering_in(at),
            None if self._takes_without_iommu(at) else matching.NO_GROUP if device.address in self._unserved else self._no_iommu,
            self._registrar.vfio_pci_has_set("disable_denylist", at),
            not self._is_kept_from_drivers(device),
            self._boot.declined.get(device.address, frozenset()),
            lambda registration: self._registrar.why_declined(registration, device),
        )
        events = self._events
        if events is None or at is None:
            return context
        return dataclasses.replace(context, on_bind=events.on_bind(device), on_unbind=events.on_unbind(device), on_load=events.of_module)

    def _takes_without_iommu(self, at: Stage | None) -> bool:
        """Whether VFIO accepts devices that are in no IOMMU group (vfio_group_find_or_alloc() in drivers/vfio)."""
        if VFIO not in self._loaded and at is not None:
            return self._registrar.is_set(at, VFIO, NO_IOMMU_MODE)
        return self._noiommu

    def _winner(self, device: Device) -> Winner:
        outcomes = self._outcomes[device.address]
        owners = tuple(dict.fromkeys(state.driver for state in outcomes.states))
        state = outcomes.states[0]
        unclear = self._what_is_unclear(device, outcomes)
        possible = tuple(dict.fromkeys((*owners, *(owner for one in unclear for owner in one.owners))))
        certainty: Certainty = UNKNOWN if unclear else RACE if len(owners) > 1 else CERTAIN
        missing = functools.partial(self._missing, device, outcomes)
        because = because_of(outcomes, unclear, self._boot, missing, lambda: self._no_driver(device))
        return Winner(state.driver, certainty, state.stage, because, possible, self._assumes(device, state))

    def _missing(self, device: Device, outcomes: Outcomes, state: DeviceState) -> t.Iterator[Reason]:
        loaded = Loaded(self._loaded, {one.driver.name for one in self._registered})
        kept = device.is_virtual and self._is_kept_from_drivers(device)
        not_run = functools.partial(why_not_loaded, device, self._boot, self._by_address)
        return iter(()) if kept else why_override_waits(state, outcomes.refused, self._boot, self._registrar, loaded, not_run)

    def _assumes(self, device: Device, state: DeviceState) -> tuple[str, ...]:
        """What a certain answer takes for granted."""
        own = []
        if state.driver is not None and state.driver != device.driver:
            own.append(f"The probe of {state.driver} succeeds, which is not bound to the device now.")
        return (*own, *self._boot.assumes)

    def _what_is_unclear(self, device: Device, outcomes: Outcomes) -> tuple[Unclear, ...]:
        """What can change the owner: an influence that leads to no other owner than those that are predicted cannot."""
        owners = {state.driver for state in outcomes.states}
        # One without owners of its own says why several of the states are possible.
        matters = (one for one in outcomes.unclear if not owners.issuperset(one.owners) or (not one.owners and len(owners) > 1))
        return tuple(dict.fromkeys((*matters, *self._name_doubts(device, outcomes))))

    def _name_doubts(self, device: Device, outcomes: Outcomes) -> t.Iterator[Unclear]:
        """What is unclear about the drivers in the outcomes."""
        yield from (Unclear(state.doubt, (None,)) for state in outcomes.states if state.doubt is not None)
        names = {name for state in outcomes.states for name in (state.driver, state.override) if name is not None}
        yield from (Unclear(doubt, self._anything(device)) for doubt in self._registrar.doubts(names))
        doubt = self._boot.iommu_doubt
        if doubt is not None and any(map(self._registrar.is_vfio, names)) and not self._takes_without_iommu(self._boot.stages[-1]):
            yield Unclear(doubt, (None,))
        unbound = self._boot.declined.get(device.address, frozenset())
        tried = (one for one in self._registered if one.driver.name in unbound)
        declined = unbound - {one.driver.name for one in tried if self._registrar.declines_always(one, device)}
        # Whether its probe failed or it was unbound cannot be determined; a chip set's bridge would not be unbound.
        if declined and outcomes.is_open and device.class_code >> 16 != BRIDGES:
            sentence = f"{', '.join(sorted(declined))} could have bound to the device in the running kernel but has not."
            yield Unclear(sentence, (*sorted(declined), None))
        yield from unlisted(self._boot, device, outcomes)

    def _is_kept_from_drivers(self, device: Device) -> bool:
        """Whether the virtual function is not offered to drivers."""
        written = self._autoprobe.get(device.physical_function or "")
        return written is not None and not written.on

    def _no_driver(self, device: Device) -> Reason:
        """What decides that no driver comes, where nothing was tried."""
        if device.is_virtual and self._is_kept_from_drivers(device):
            return self._autoprobe[device.physical_function or ""].because
        return why_none(device, self._boot, self._by_address)

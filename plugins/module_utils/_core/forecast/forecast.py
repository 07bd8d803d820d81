# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who will have each device after a boot: the boot of one kernel, stage by stage, without booting it."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import (
    CERTAIN,
    KERNEL,
    RACE,
    RUNTIME,
    UNKNOWN,
    Because,
    Coldplug,
    Winner,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast import matching
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast import matching as iommu
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.boot_step import Scene, set_scene
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import (
    Ground,
    Job,
    Play,
    Registration,
    State,
    orders,
    with_id,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.equivalence import Kinds
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.events import (
    OWN,
    AfterUnbind,
    Doubt,
    Events,
    NewId,
    SetAutoprobe,
    SetOverride,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import Modprobe, Request
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.registration import Registrar
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.runtime import jobs_of
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import comparable
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import UNBIND

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Assigned, Boot, LoadList, Stage, Step
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.events import Effect
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device


BRIDGES = 0x06


def forecast(devices: t.Sequence[Device], boot: Boot, only: t.Collection[Device] | None = None) -> dict[str, Winner]:
    """The winner of each device, or of those in ``only``, by address; devices that nothing tells apart share one object.

    What happens to others has no part in a device's fate, though their events have: these load its driver as well.
    """
    kinds = Kinds.of(devices, boot)
    asked = devices if only is None else only
    winners = _Simulation(devices, kinds, boot, asked).winners()
    return {device.address: winners[kinds.first[device.address].address] for device in asked}


@dataclasses.dataclass(frozen=True)
class _Fate:
    """What can have become of a device so far.  ``refused`` says why its natives were not loaded."""

    states: tuple[State, ...] = (State(),)
    doubts: tuple[str, ...] = ()
    refused: tuple[Because, ...] = ()

    @property
    def is_open(self) -> bool:
        return any(state.driver is None for state in self.states)


class _Simulation:
    """The kernel's own state between the steps, and the fates of one device of each kind that is asked for."""

    def __init__(self, devices: t.Sequence[Device], kinds: Kinds, boot: Boot, asked: t.Collection[Device]) -> None:
        self._boot = boot
        self._devices = kinds.representatives
        self._counts = kinds.counts
        self._by_address = {device.address: device for device in devices}
        self._no_iommu = iommu.why_off(devices, boot)
        self._registrar = Registrar(boot)
        self._registered: list[Registration] = []
        self._loaded: dict[str, None] = {}
        followed = {kinds.first[device.address].address for device in asked}
        # Whether there is a virtual function is up to who has the physical one.
        followed.update(device.physical_function for device in asked if device.physical_function is not None)
        self._fates = {device.address: _Fate() for device in self._devices if device.address in followed}
        self._autoprobe: dict[str, bool] = {}

    def winners(self) -> dict[str, Winner]:
        present = [device for device in self._devices if not device.is_virtual]
        self._kernel_stage(present)
        for doubt in self._boot.doubts:
            self._doubt(present, doubt)
        for stage in self._boot.stages:
            for doubt in stage.doubts:
                self._doubt(present, doubt)
            for step in stage.steps:
                self._step(stage, stage.name, step, present)
            self._probe_pending(stage, present)
        self._runtime_stage(present)
        return {device.address: self._winner(device) for device in self._followed(self._devices)}

    def _followed(self, devices: t.Iterable[Device]) -> t.Iterator[Device]:
        return (device for device in devices if device.address in self._fates)

    # -- stage by stage

    def _kernel_stage(self, devices: t.Sequence[Device]) -> None:
        """Built-in drivers register in link order before any user space; PCI has been enumerated by then."""
        self._registered = list(self._registrar.built_in())
        self._fates.update({device.address: self._built_in_fate(device) for device in self._followed(devices)})

    def _built_in_fate(self, device: Device) -> _Fate:
        holder = self._boot.held_by_built_in.get(device.address)
        if holder is not None:
            because = Because(f"kernel {self._boot.release}", f"{holder} is built in and has the device now")
            return _Fate((State(holder, None, KERNEL, (because,)),))
        play = Play(self._ground(device, KERNEL, f"kernel {self._boot.release}", None), State(), self._registered, ())
        play.offer_all()
        if play.state.driver is None:
            return self._fates[device.address]
        built_in = Because(f"modules.builtin of {self._boot.release}", f"{play.state.driver} is built in")
        return _Fate((dataclasses.replace(play.state, because=(*play.state.because[:-1], built_in)),))

    def _step(self, stage: Stage, name: str, step: Step, devices: t.Sequence[Device]) -> None:
        modprobe = Modprobe(self._boot, stage, frozenset(self._loaded))
        lists = [job for work in step if not isinstance(work, Coldplug) for job in _list_jobs(work, modprobe)]
        plugged = devices if any(isinstance(work, Coldplug) for work in step) else ()
        events = Events(stage, modprobe, self._by_address)
        self._scene(stage, name, lists, {device.address: events.of(device) for device in plugged}, devices)

    def _probe_pending(self, stage: Stage, devices: t.Iterable[Device]) -> None:
        """A stage takes longer than any probe."""
        for device in self._followed(devices):
            fate = self._fates[device.address]
            if any(state.pending for state in fate.states):
                ground = self._ground(device, stage.name, stage.place, stage)
                states = _distinct(Play(ground, state, self._registered, self._loaded).probe_pending() for state in fate.states)
                self._fates[device.address] = dataclasses.replace(fate, states=states)

    def _scene(
        self, stage: Stage, name: str, lists: list[Job], events: t.Mapping[str, tuple[Effect, ...]], devices: t.Sequence[Device]
    ) -> None:
        scene = set_scene(stage, name, lists, events, self._counts)
        for device in self._followed(devices):
            self._notice_autoprobe(device, scene)
        self._fates.update({device.address: self._advanced(device, scene) for device in self._followed(devices)})
        self._settle(scene)

    def _settle(self, scene: Scene) -> None:
        """Everything that the step's jobs load is in the kernel when it ends, whatever came first."""
        for job in scene.jobs:
            for effect in job.effects:
                if isinstance(effect, Request) and effect.module not in self._loaded:
                    for module in effect.insertions:
                        if module not in self._loaded:
                            self._loaded[module] = None
                            self._registered += self._registrar.registers(scene.stage, module)
                elif isinstance(effect, NewId):
                    self._registered = [with_id(registration, effect) for registration in self._registered]

    def _runtime_stage(self, present: t.Sequence[Device]) -> None:
        """What units do once udev has seen the devices; then virtual functions, which exist only from then on."""
        if not self._boot.stages:
            return
        root = self._boot.stages[-1]
        for doubt in self._boot.later.doubts:
            self._doubt(present, doubt)
        modprobe = Modprobe(self._boot, root, frozenset(self._loaded))
        assigned = jobs_of(self._boot.later, modprobe, self._by_address)
        if assigned:
            self._scene(root, RUNTIME, assigned, dict(self._unbind_events(root, modprobe)), present)
        virtual = [device for device in self._devices if device.is_virtual]
        if virtual:
            events = Events(root, modprobe, self._by_address)
            for device in self._followed(virtual):
                self._appear(device, root, events.of(device))
            self._step(root, RUNTIME, (Coldplug(),), virtual)
        for address, taken in self._boot.later.may_take.items():
            if address in self._fates:
                fate = self._fates[address]
                doubts = (*fate.doubts, *_unless_same(fate, taken))
                self._fates[address] = dataclasses.replace(fate, doubts=doubts)

    def _unbind_events(self, root: Stage, modprobe: Modprobe) -> t.Iterator[tuple[str, tuple[Effect, ...]]]:
        """Of the devices that driverctl may take from a driver: a rule that is not for "add" alone writes its override once more.

        That may come between driverctl's own override and its probe.
        """
        events = Events(root, modprobe, self._by_address, UNBIND)
        for address in self._boot.later.driverctl:
            if address in self._fates:
                yield address, (AfterUnbind(), *events.of(self._by_address[address]))

    def _appear(self, device: Device, root: Stage, event: t.Sequence[Effect]) -> None:
        """A virtual function is offered to the registered drivers right after udev has heard of it.

        pci_device_add() sends the event, pci_bus_add_device() asks the drivers: an override that a rule writes may come between.
        """
        written = [
            State(override=effect.driver, override_because=(effect.because,))
            for effect in event
            if isinstance(effect, SetOverride) and effect.address in (OWN, device.address)
        ]
        states: list[State] = []
        doubts: list[str] = []
        for owner in self._fates[device.physical_function].states if device.physical_function in self._fates else (State(),):
            gone = self._makes_none(device, owner.driver, root)
            if gone is not None or owner.driver is None:
                states.append(State(because=(gone,) if gone else (), exists=False))
                continue
            doubts += self._may_make_none(device, owner.driver)
            initial = State()
            if self._registrar.is_vfio(owner.driver):
                why = Because(owner.driver, "the kernel sets the override of its virtual functions to the driver of the physical one")
                initial = State(override=owner.driver, override_because=(why,))
            ground = self._ground(device, RUNTIME, "/", root)
            states += [state for first in (initial, *written) for state in self._offered(ground, first)]
        self._fates[device.address] = _Fate(_distinct(states), (*doubts, *self._doubts_of_maker(device)))

    def _doubts_of_maker(self, device: Device) -> t.Iterator[str]:
        physical = self._by_address.get(device.physical_function or "")
        fate = None if physical is None else self._fates.get(physical.address)
        if physical is not None and fate is not None and (fate.doubts or any(True for _doubt in self._name_doubts(physical, fate))):
            yield f"Who has {physical.address}, whose virtual function this is, cannot be told."

    def _offered(self, ground: Ground, initial: State) -> t.Iterator[State]:
        """What becomes of a function when it is offered to the registered drivers, in each order that the kernel may have them in."""
        drivers = [registration.driver for registration in self._registered]
        for order in matching.attach_order(drivers, self._boot.release):
            ordered = sorted(self._registered, key=lambda registration, order=order: order.index(registration.driver))  # type: ignore[misc]
            play = Play(ground, initial, ordered, self._loaded)
            play.offer_all()
            yield play.state

    def _makes_none(self, device: Device, owner: str | None, root: Stage) -> Because | None:
        """Why the driver of the physical function makes no virtual ones (sriov_numvfs_store() and its sriov_configure())."""
        if owner is None:
            return Because(str(device.physical_function), "no driver has the physical function, so that it makes no virtual ones")
        if owner == "vfio-pci" and not self._registrar.vfio_pci_is_told("enable_sriov", root):
            return Because(owner, "it has the physical function, and makes virtual ones only with enable_sriov=1")
        return None

    def _may_make_none(self, device: Device, owner: str) -> t.Iterator[str]:
        """The driver that has made them is known to; so are VFIO's variants."""
        physical = self._by_address.get(device.physical_function or "")
        if physical is None or (physical.driver != owner and not self._registrar.is_vfio(owner)):
            yield f"Whether {owner}, as the driver of {device.physical_function}, makes virtual functions cannot be told."

    # -- one device

    def _advanced(self, device: Device, scene: Scene) -> _Fate:
        fate = self._fates[device.address]
        if not fate.is_open and not scene.takes_away:
            return fate
        candidates = self._candidates(device, scene, fate)
        jobs = scene.relevant_jobs(device, candidates)
        if not jobs:
            return fate
        ground = self._ground(device, scene.name, scene.stage.place, scene.stage)
        detached = any(state.pending for state in fate.states) or any(_is_detached(job, ground) for job in jobs)
        states = _distinct(
            Play(ground, state, self._registered, self._loaded, late).run(order)
            for late in ((False, True) if detached else (False,))
            for state in fate.states
            for order in orders(jobs)
        )
        if not fate.is_open:
            return dataclasses.replace(fate, states=states)
        doubts = tuple(doubt for job in jobs for doubt in _doubts_of(job))
        refused = tuple(refusal for job in jobs for refusal in _refusals_of(job))
        return _Fate(states, (*fate.doubts, *doubts), (*fate.refused, *refused))

    def _candidates(self, device: Device, scene: Scene, fate: _Fate) -> frozenset[str]:
        """The modules whose insertion can give the device an owner in this step."""
        named = {state.override for state in fate.states if state.override is not None}
        own = scene.own.get(device.address)
        indices = {*scene.naming.get(device.address, ()), *scene.naming.get(OWN, ()), *(() if own is None else (own,))}
        named.update(driver for index in indices for driver in scene.concerns[index].overrides)
        added = (effect for index in indices for _place, effect in scene.concerns[index].by_address.get(None, ()))
        named.update(effect.driver for effect in added if isinstance(effect, NewId) and effect.id.matches(device))
        found = {match.module for match in scene.stage.kernel.natives(device.modalias)}
        found |= self._registrar.configured_natives(scene.stage, device)
        found |= self._registrar.with_dynamic_id(scene.stage, device)
        return frozenset(found | {module for name in named for module in self._registrar.modules_of(name)})

    def _notice_autoprobe(self, device: Device, scene: Scene) -> None:
        own = scene.own.get(device.address)
        for effect in () if own is None else scene.jobs[own].effects:
            if isinstance(effect, SetAutoprobe) and effect.address in (OWN, device.address):
                self._autoprobe[device.address] = effect.on

    def _doubt(self, devices: t.Sequence[Device], sentence: str) -> None:
        """A doubt about a stage counts for every device that nobody is certain to have by then and somebody could want."""
        for device in self._followed(devices):
            fate = self._fates[device.address]
            if fate.is_open and self._registrar.is_wanted(device):
                self._fates[device.address] = dataclasses.replace(fate, doubts=(*fate.doubts, sentence))

    def _ground(self, device: Device, stage: str, place: str, at: Stage | None) -> Ground:
        autoprobe = self._autoprobe.get(device.physical_function or "", True)
        declined = self._boot.declined.get(device.address, frozenset())
        registers = self._registrar.registering_in(at)
        return Ground(
            device, stage, place, registers, self._no_iommu, self._registrar.vfio_pci_is_told("disable_denylist", at), autoprobe, declined
        )

    # -- the end

    def _winner(self, device: Device) -> Winner:
        fate = self._fates[device.address]
        outcomes = tuple(dict.fromkeys(state.driver for state in fate.states))
        state = fate.states[0]
        doubts = [*fate.doubts, *self._name_doubts(device, fate)]
        certainty = UNKNOWN if doubts else RACE if len(outcomes) > 1 else CERTAIN
        because = list(state.because)
        if state.driver is None:
            because = [*state.override_because, *because, *fate.refused] or [self._nobody(device)]
        elif state.driver not in {refusal.fact for refusal in fate.refused}:
            because += fate.refused
        for other in fate.states[1:]:
            if other.driver != state.driver:
                facts = other.because if other.driver is not None else (*other.override_because, *other.because)
                because += [Because(f"or {other.driver or 'nobody'}", str(fact)) for fact in facts or other.override_because]
        because += [Because("not known", doubt) for doubt in doubts]
        return Winner(state.driver, certainty, state.stage, tuple(dict.fromkeys(because)), outcomes)

    def _name_doubts(self, device: Device, fate: _Fate) -> t.Iterator[str]:
        """What is not known of the drivers that decide here."""
        yield from (state.doubt for state in fate.states if state.doubt is not None)
        yield from self._registrar.doubts({name for state in fate.states for name in (state.driver, state.override) if name is not None})
        declined = self._boot.declined.get(device.address)
        # Whether its probe failed or somebody has unbound it cannot be seen; nobody unbinds a chip set's bridge.
        if declined and fate.is_open and device.class_code >> 16 != BRIDGES:
            yield f"{', '.join(sorted(declined))} could have taken the device in the running kernel and has not."
        if not self._boot.built_in_known and device.address in self._boot.maybe_built_in and fate.states[0].stage != KERNEL:
            yield f"Kernel {self._boot.release} does not tell which devices its built-in drivers want, and the device has no other native."

    def _nobody(self, device: Device) -> Because:
        return Because(f"modules.alias of {self._boot.release}", f"no module is for {device.modalias}")


def _is_detached(job: Job, ground: Ground) -> bool:
    inserted = (module for effect in job.effects if isinstance(effect, Request) for module in effect.insertions)
    return any(registration.detached is not None for module in inserted for registration in ground.registers(module))


def _doubts_of(job: Job) -> t.Iterator[str]:
    for effect in job.effects:
        if isinstance(effect, Doubt) and job.own:
            yield effect.sentence
        elif isinstance(effect, Request):
            yield from effect.doubts


def _refusals_of(job: Job) -> t.Iterator[Because]:
    for effect in job.effects:
        if isinstance(effect, Request):
            yield from effect.refused


def _list_jobs(work: LoadList, modprobe: Modprobe) -> t.Iterator[Job]:
    """A list is one job; where several modules are loaded at a time, each is one."""
    requests = [
        tuple(modprobe.ask(listed.name, work.heeds_blacklist, Because(listed.source, f"{work.program} loads {comparable(listed.name)}")))
        for listed in work.modules
    ]
    if work.in_order:
        yield Job(tuple(request for found in requests for request in found))
    else:
        yield from (Job(found) for found in requests)


def _distinct(states: t.Iterable[State]) -> tuple[State, ...]:
    """One of each outcome, in order."""
    found: dict[t.Hashable, State] = {}
    for state in states:
        found.setdefault(state.outcome, state)
    return tuple(found.values())


def _unless_same(fate: _Fate, taken: Assigned) -> t.Iterator[str]:
    if any(state.driver != taken.driver for state in fate.states):
        yield f"{taken.source} gives the device to {taken.driver} {taken.when}; whether it does cannot be seen."

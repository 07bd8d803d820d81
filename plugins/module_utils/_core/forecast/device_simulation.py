# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulates one device in one step of a boot: what can happen to it when jobs run concurrently.

Only two things matter: which matching driver registers first, and whether the device's driver_override is set by then.  A bound
driver is never displaced (drivers/base/dd.c).  So it is enough to try each job before and after the device's own, each before all
others, and the device's own in the middle of each.
"""

from __future__ import annotations

import dataclasses
import itertools
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Reason
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast import matching
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

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import StageName
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import Effect, OfDevice
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.refusals import ModuleSettings, Refusal
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciDriver, PciId

TAKE_ANYTHING = frozenset(("pci-stub", "pci-pf-stub", "pciback", "igb_uio", "uio_pci_sva"))
"""Drivers without an ID table that accept any device, as VFIO drivers do."""
TAKES_WHAT_IT_CAN_MASK = "uio_pci_generic"
"""It declines a device that has an interrupt line which cannot be masked; a virtual function has none (probe() in
drivers/uio/uio_pci_generic.c, pci_intx_mask_supported() and quirk_broken_intx_masking() in drivers/pci)."""
ALL_ORDERS = 3
"""The largest number of jobs that are tried in every order."""
DECLINED = "it matches the device, and has not bound to it in the running kernel"
MOST_EVENTS = 4
"""So many events in a row are followed that rules cause by what they do in the one before."""


@dataclasses.dataclass(frozen=True)
class DeviceState:
    """The driver that a device is bound to and its override, with the reasons."""

    driver: str | None = None
    override: str | None = None
    stage: StageName | None = None
    because: tuple[Reason, ...] = ()
    override_because: tuple[Reason, ...] = ()
    doubt: str | None = None
    """Why the driver's probe may fail after all."""
    exists: bool = True
    """False for a virtual function that is never created, and for a function that a rule has removed."""
    bus_autoprobe: bool = True
    """False once a rule has written 0 to the bus's drivers_autoprobe."""
    pending: tuple[tuple[Registration, tuple[Reason, ...]], ...] = ()
    """Registered drivers whose asynchronous probe is still pending: see `Registration.detached`."""

    @property
    def outcome(self) -> tuple[t.Hashable, ...]:
        """What distinguishes states, apart from the reasons."""
        pending = tuple(registration.driver.name for registration, _because in self.pending)
        return self.driver, self.override, self.exists, self.bus_autoprobe, self.doubt is None, pending


@dataclasses.dataclass(frozen=True)
class Registration:
    """A driver that a module has registered, with the dynamic IDs of its `ids=` and where they are set."""

    driver: PciDriver
    module: str
    is_vfio: bool
    ids: tuple[PciId, ...] = ()
    ids_because: Reason | None = None
    detached: Reason | None = None
    """What asked for `async_probe`: loading the module does not wait for its probes (do_init_module() in kernel/module/main.c)."""
    setting: ModuleSettings | None = None
    """What the module is set to."""
    unclear: tuple[str, ...] = ()
    """Why the driver may not be there after all."""


@dataclasses.dataclass(frozen=True)
class Job:
    """The effects of one program or event, in order.  ``own`` is True for the device's own event."""

    effects: tuple[Effect, ...]
    own: bool = False


@dataclasses.dataclass(frozen=True)
class ProbeContext:
    """The constant inputs of a simulation run."""

    device: Device
    stage: StageName
    place: str
    registers: t.Callable[[str, str], tuple[Registration, ...]]
    """Returns what a module registers when it is inserted in this stage, and found by an alias that options are given to."""
    no_iommu: str | None
    denylist_disabled: bool
    autoprobe: bool = True
    declined: frozenset[str] = frozenset()
    """The drivers that could have the device in the running kernel, and have not."""
    declines: t.Callable[[Registration], Refusal | None] = lambda _registration: None
    """Returns why a driver that matches the device declines it, or may."""
    on_bind: tuple[Effect, ...] = ()
    """What udev does at the "bind" event that a driver's coming causes."""
    on_unbind: tuple[Effect, ...] = ()
    on_load: t.Callable[[str], tuple[Effect, ...]] = lambda _module: ()
    """What udev does at the events of a module that is loaded, and of the drivers that it registers."""
    left_out: frozenset[str] = frozenset()
    """The drivers of which it is tried out what comes if they decline the device."""

    @property
    def has_further_events(self) -> bool:
        return bool(self.on_bind or self.on_unbind)


def orders(jobs: t.Sequence[Job]) -> t.Iterator[tuple[Job, ...]]:
    """The orders that can make a difference to the device."""
    own = [job for job in jobs if job.own]
    others = [job for job in jobs if not job.own]
    if len(jobs) <= ALL_ORDERS:
        yield from itertools.permutations(jobs)
    else:
        for first in others:
            rest = [job for job in others if job is not first]
            yield (first, *own, *rest)
            yield (*own, first, *rest)
    # The effects of the device's own event may also come in the middle of another job.
    if any(not isinstance(effect, LoadRequest) for job in own for effect in job.effects):
        for interrupted in others:
            rest = [job for job in others if job is not interrupted]
            for before, after in _halves(interrupted):
                yield (before, *own, after, *rest)


def _halves(job: Job) -> t.Iterator[tuple[Job, Job]]:
    """All splits of a job into two parts: kmod inserts modules one after the other."""
    steps = [step for effect in job.effects for step in (_insertions(effect) if isinstance(effect, LoadRequest) else (effect,))]
    for middle in range(1, len(steps)):
        yield Job(tuple(steps[:middle])), Job(tuple(steps[middle:]))


def _insertions(request: LoadRequest) -> t.Iterator[LoadRequest]:
    for module in request.insertions:
        yield dataclasses.replace(request, module=module, insertions=(module,))


class DeviceSimulation:
    """One order of events for one device.  With ``late``, asynchronous probes come after all jobs; with ``waiting``, so do the events that
    the jobs cause, else they come as soon as the effect that causes them.
    """

    def __init__(
        self,
        context: ProbeContext,
        state: DeviceState,
        registered: t.Sequence[Registration],
        loaded: t.Container[str],
        late: bool = False,
        waiting: bool = False,
    ) -> None:
        self._context = context
        self.state = state
        self._before = registered
        self._loaded_before = loaded
        self._registered: list[Registration] = []
        self._loaded: set[str] = set()
        self._was_unbound = False
        self._late = late
        self._waiting = waiting
        self._caused: list[Job] = []
        self._events = 0

    def run(self, jobs: t.Iterable[Job]) -> DeviceState:
        if not self._late:
            self.probe_pending()
        for job in jobs if self.state.exists else ():
            self._run_job(job)
        self._waiting = False
        self._follow()
        return self.state

    def _run_job(self, job: Job) -> None:
        # udev looks at the driver once in an event.
        driver, is_known, override = None, False, self.state.override
        for effect in job.effects:
            if isinstance(effect, AfterUnbind) and not self._was_unbound:
                break
            if isinstance(effect, IfDriver):
                driver, is_known = (driver, True) if is_known else (self.state.driver, True)
                if not job.own or not effect.holds(driver, override):
                    continue
                effect = effect.effect  # noqa: PLW2901
            self._apply(effect, job.own)
            if not self._waiting:
                self._follow()

    def _follow(self) -> None:
        """The events that were caused, and those that they cause in turn."""
        while self._caused and self.state.exists:
            job = self._caused.pop(0)
            # A module is loaded once, so that the events of modules come to an end.
            self._events += job.own
            if self._events > MOST_EVENTS:
                self.state = dataclasses.replace(
                    self.state, doubt="Rules rebind the device again and again, each time in an event of that."
                )
                self._caused.clear()
                return
            waiting, self._waiting = self._waiting, True
            self._run_job(job)
            self._waiting = waiting

    def _cause(self, effects: tuple[Effect, ...], own: bool) -> None:
        if effects:
            self._caused.append(Job(effects, own))

    def _apply(self, effect: Effect, own: bool) -> None:
        if isinstance(effect, LoadRequest):
            self._load(effect)
        elif isinstance(effect, (NewId, RemoveId)):
            self._change_ids(effect)
        elif isinstance(effect, SetBusAutoprobe):
            self.state = dataclasses.replace(self.state, bus_autoprobe=effect.on, override_because=self._with_autoprobe(effect))
        elif not isinstance(effect, (Noticed, IfDriver, AfterUnbind, SetAutoprobe)) and self._is_meant(effect.address, own):
            self._act(effect)

    def _with_autoprobe(self, effect: SetBusAutoprobe) -> tuple[Reason, ...]:
        """The reasons with the one for which no driver comes, while it lasts."""
        others = tuple(one for one in self.state.override_because if not one.fact.startswith(effect.because.fact.partition("=")[0]))
        return others if effect.on else (*others, effect.because)

    def _act(self, effect: OfDevice) -> None:
        state = self.state
        if isinstance(effect, SetOverride):
            self.state = dataclasses.replace(state, override=effect.driver, override_because=(effect.because,))
        elif isinstance(effect, ProbeNow):
            self.offer_all(effect.because)
        elif isinstance(effect, Bind):
            for registration in (*self._before, *self._registered):
                if registration.driver.name == effect.driver:
                    self._offer(registration, (effect.because,))
        elif isinstance(effect, Remove):
            self.state = DeviceState(because=(effect.because,), exists=False, bus_autoprobe=state.bus_autoprobe)
        elif isinstance(effect, Unbind) and (effect.driver is None or effect.driver == state.driver):
            self._was_unbound = self._was_unbound or state.driver is not None
            if state.driver is not None:
                self._cause(self._context.on_unbind, own=True)
            self.state = dataclasses.replace(state, driver=None, stage=None, because=(effect.because,), doubt=None)

    def _is_meant(self, address: str, own: bool) -> bool:
        return address == self._context.device.address or (own and address == OWN)

    def _load(self, request: LoadRequest) -> None:
        """If the module is already loaded, nothing happens, and its softdeps are not loaded either."""
        if self._is_loaded(request.module):
            return
        for module in request.insertions:
            if self._is_loaded(module):
                continue
            self._loaded.add(module)
            for registration in self._context.registers(module, request.alias_of(module)):
                self._registered.append(registration)
                if registration.detached is not None and self._late:
                    pending = (*self.state.pending, (registration, request.why(module)))
                    self.state = dataclasses.replace(self.state, pending=pending)
                elif self.state.bus_autoprobe:
                    self._offer(registration, request.why(module))
            self._cause(self._context.on_load(module), own=False)

    def probe_pending(self) -> DeviceState:
        """Run the pending asynchronous probes."""
        pending = self.state.pending
        if pending:
            self.state = dataclasses.replace(self.state, pending=())
        for registration, because in pending:
            self._offer(registration, because)
        return self.state

    def _is_loaded(self, module: str) -> bool:
        return module in self._loaded or module in self._loaded_before

    def _change_ids(self, effect: NewId | RemoveId) -> None:
        self._before = [with_id(registration, effect) for registration in self._before]
        self._registered = [with_id(registration, effect) for registration in self._registered]
        for registration in (*self._before, *self._registered) if isinstance(effect, NewId) else ():
            if registration.driver.name == effect.driver:
                self._offer(registration, ())

    def offer_all(self, because: Reason | None = None) -> None:
        """Offer the device to every registered driver, in the order of registration (device_attach())."""
        for registration in (*self._before, *self._registered):
            self._offer(registration, () if because is None else (because,))

    def _offer(self, registration: Registration, because: tuple[Reason, ...]) -> None:
        """As __driver_attach() and really_probe(): an unbound device is bound to a driver that matches and whose probe succeeds."""
        context, state, driver = self._context, self.state, registration.driver
        if state.driver is not None or not state.exists or not matching.matches(driver, registration.ids, context.device, state.override):
            return
        if not matching.can_probe(context.device.is_virtual, context.autoprobe, state.override):
            return
        refusal = (
            matching.vfio_refusal(driver, context.device, context.no_iommu, context.denylist_disabled) if registration.is_vfio else None
        )
        if refusal is not None:
            self.state = dataclasses.replace(state, because=(*state.because, Reason(driver.name, refusal)))
            return
        if driver.name in context.left_out:
            return
        declines = context.declines(registration)
        if declines is not None and declines.certain:
            self.state = dataclasses.replace(state, because=(*state.because, Reason(declines.source, declines.fact)))
            return
        if driver.name in context.declined:
            self.state = dataclasses.replace(state, because=(*state.because, Reason(driver.name, DECLINED)))
            return
        doubt = None if registration.is_vfio or _accepts(driver, context.device) else probe_doubt(driver.name)
        detached = () if registration.detached is None else (registration.detached,)
        # Where VFIO's driver was there first and refused, that decides as well.
        refused = tuple(one for one in state.because if one.fact in (context.no_iommu, matching.NO_BRIDGES, matching.DENIED))
        reasons = (*self._why_it_matches(registration), *because, *detached, *_held_in(context, registration.module), *refused)
        self.state = dataclasses.replace(state, driver=driver.name, stage=context.stage, because=reasons, doubt=doubt)
        self._cause(context.on_bind, own=True)

    def _why_it_matches(self, registration: Registration) -> tuple[Reason, ...]:
        if self.state.override is not None:
            return self.state.override_because
        by_id = any(entry.matches(self._context.device) for entry in registration.ids)
        return (registration.ids_because,) if by_id and registration.ids_because is not None else ()


def _accepts(driver: PciDriver, device: Device) -> bool:
    """Whether a driver that the kernel offers the device to takes it, as far as that is known: what it has now it has taken."""
    if driver.name == device.driver or any(entry.matches(device) for entry in driver.ids):
        return True
    return driver.name in TAKE_ANYTHING or (driver.name == TAKES_WHAT_IT_CAN_MASK and device.is_virtual)


def probe_doubt(driver: str) -> str:
    """Why a driver that an override names need not take the device."""
    if driver == TAKES_WHAT_IT_CAN_MASK:
        return (
            f"{driver} declines a device whose interrupt line it cannot mask, which shows when it is bound: "
            f"`device_claim` with `driver: {driver}` tries it."
        )
    return f"Whether {driver} accepts a device that is not in its ID table, as the override requests, depends on its probe()."


def with_id(registration: Registration, effect: NewId | RemoveId) -> Registration:
    """The registration, with the ID if the effect adds it to this driver, or without it."""
    if registration.driver.name != effect.driver:
        return registration
    if isinstance(effect, RemoveId):
        return dataclasses.replace(registration, ids=tuple(entry for entry in registration.ids if not _is_same_id(entry, effect.id)))
    return dataclasses.replace(registration, ids=(*registration.ids, effect.id), ids_because=effect.because)


def _is_same_id(one: PciId, other: PciId) -> bool:
    """As remove_id_store(): the mask does not count, and the class only where it has one."""
    numbers = (one.vendor, one.device, one.subsystem_vendor, one.subsystem_device)
    return numbers == (other.vendor, other.device, other.subsystem_vendor, other.subsystem_device) and not (
        (one.class_code ^ other.class_code) & other.class_mask
    )


def _held_in(context: ProbeContext, module: str) -> tuple[Reason, ...]:
    """The reason that the initramfs has the module: its modules are loaded before the root's."""
    return () if context.place == "/" else (Reason(context.place, f"contains {module}"),)

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One step of a boot: its concurrent jobs, and which of them can affect a given device."""

from __future__ import annotations

import dataclasses
import operator
import typing as t

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
    address_of,
    plain,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import LoadRequest

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Stage, StageName
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import Effect
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

Table = t.Mapping[str, tuple[int, ...]]
"""Indices of jobs."""


Placed = tuple[int, "Effect"]
"""An effect, and its index in its job."""


@dataclasses.dataclass(frozen=True)
class EffectsByAddress:
    """A job's effects by the address that they apply to; under None those that do not apply to one device only.

    On a host with many claimed devices each event writes the overrides of all: without this index, the time would be quadratic.
    """

    by_address: t.Mapping[str | None, t.Sequence[Placed]]
    overrides: frozenset[str]
    """All drivers that the job writes to any device's driver_override, or binds one to."""

    @classmethod
    def of(cls, job: Job) -> EffectsByAddress:
        found: dict[str | None, list[Placed]] = {}
        for place, effect in enumerate(job.effects):
            found.setdefault(address_of(effect), []).append((place, effect))
        named = (effect.driver for effect in map(plain, job.effects) if isinstance(effect, (SetOverride, Bind)))
        return cls(found, frozenset(driver for driver in named if driver is not None))

    def about(self, *addresses: str) -> tuple[Effect, ...]:
        """The effects that apply to one of the addresses, or not to one device only, in order."""
        found = [placed for address in (None, *addresses) for placed in self.by_address.get(address, ())]
        return tuple([effect for _place, effect in sorted(found, key=operator.itemgetter(0))])


@dataclasses.dataclass(frozen=True)
class BootStep:
    """A step's jobs, and for each device the job of its own event, if any."""

    stage: Stage
    name: StageName
    jobs: tuple[Job, ...]
    concerns: tuple[EffectsByAddress, ...]
    """For each job."""
    own: t.Mapping[str, int]
    alike: t.Mapping[int, int]
    """By job: the first job with the same effects, apart from their reasons, as the events of identical cards have."""
    alike_to_all: t.Mapping[int, int]
    """By first job: the first one that writes the same to devices that are named by address."""
    shared: frozenset[int]
    """The first jobs that stand for those of more than one device or program."""
    inserting: Table
    """By module: the first jobs that insert it."""
    naming: Table
    """By address: the jobs that write to the device's attributes; under OWN those that add an ID."""
    takes_away: bool
    """Whether any job unbinds a device."""

    def relevant_jobs(self, device: Device, candidates: frozenset[str]) -> tuple[Job, ...]:
        """The device's own event, and those other jobs that load a driver for it or write to it; each kind once."""
        own = self.own.get(device.address)
        found = [] if own is None else [Job(self._effects_on(device, own, candidates), own=True)]
        indices = {index for module in candidates for index in self.inserting.get(module, ())}
        indices.update(self.naming.get(device.address, ()), self.naming.get(OWN, ()))
        same = None if own is None else (_kind(found[0].effects, candidates), self.alike_to_all[self.alike[own]])
        foreign: dict[tuple[t.Hashable, ...], tuple[Effect, ...]] = {}
        for index in sorted(indices):
            if own is None or index != self.alike[own] or index in self.shared:
                # The effects of another device's event on that device itself are irrelevant here.
                effects = tuple(effect for effect in self._effects_on(device, index, candidates) if _is_for_others(effect))
                # The order does not matter if the job does the same as the device's own event.
                if (_kind(effects, candidates), self.alike_to_all[index]) != same:
                    foreign.setdefault(_kind(effects, candidates), effects)
        return (*found, *(Job(effects) for effects in foreign.values() if effects))

    def _effects_on(self, device: Device, index: int, candidates: frozenset[str]) -> tuple[Effect, ...]:
        return relevant(self.concerns[index].about(device.address, OWN), candidates)


def relevant(effects: tuple[Effect, ...], candidates: frozenset[str]) -> tuple[Effect, ...]:
    """The effects without load requests that insert none of the candidates."""
    return tuple(effect for effect in effects if _is_relevant(plain(effect), candidates))


def _is_relevant(effect: Effect, candidates: frozenset[str]) -> bool:
    if isinstance(effect, LoadRequest):
        return not candidates.isdisjoint((effect.module, *effect.insertions))
    return not isinstance(effect, Noticed)


def _is_for_others(effect: Effect) -> bool:
    """Not what an event does to its own device, nor what depends on that one's driver."""
    return address_of(effect) != OWN and not isinstance(effect, IfDriver)


def _kind(effects: tuple[Effect, ...], candidates: frozenset[str] | None = None) -> tuple[t.Hashable, ...]:
    """What a job does to a device, apart from the reasons: one job of each kind is enough."""
    return tuple(
        (effect.module, effect.aliases, *(module for module in effect.insertions if candidates is None or module in candidates))
        if isinstance(effect, LoadRequest)
        else effect
        for effect in effects
        if not isinstance(effect, Noticed)
    )


def make_boot_step(
    stage: Stage, name: StageName, lists: t.Iterable[Job], events: t.Mapping[str, tuple[Effect, ...]], devices: t.Mapping[str, int]
) -> BootStep:
    """A step from the jobs of ``lists`` and the events by address; ``devices`` is the number of devices that an address stands for."""
    jobs = list(lists)
    places: dict[int, int] = {}
    own: dict[str, int] = {}
    owners: dict[int, int] = {}
    for address, effects in events.items():
        if id(effects) not in places:
            places[id(effects)] = len(jobs)
            jobs.append(Job(effects, own=True))
        own[address] = places[id(effects)]
        owners[own[address]] = owners.get(own[address], 0) + devices[address]
    firsts: dict[tuple[t.Hashable, ...], int] = {}
    alike = {index: firsts.setdefault(_kind(job.effects), index) for index, job in enumerate(jobs)}
    inserting: dict[str, dict[int, None]] = {}
    naming: dict[str, dict[int, None]] = {}
    for index in firsts.values():
        for effect in map(plain, jobs[index].effects):
            if isinstance(effect, LoadRequest):
                for module in effect.insertions:
                    inserting.setdefault(module, {})[index] = None
            elif isinstance(effect, (NewId, RemoveId, SetBusAutoprobe)):
                naming.setdefault(OWN, {})[index] = None
            elif not isinstance(effect, Noticed) and effect.address != OWN:
                naming.setdefault(effect.address, {})[index] = None
    counts: dict[int, int] = {}
    for index, first in alike.items():
        counts[first] = counts.get(first, 0) + owners.get(index, 1)
    shared = frozenset(first for first, count in counts.items() if count > 1)
    concerns = tuple(map(EffectsByAddress.of, jobs))
    written: dict[tuple[Effect, ...], int] = {}
    alike_to_all = {index: written.setdefault(_written_to_named(jobs[index]), index) for index in firsts.values()}
    takes_away = any(isinstance(plain(effect), (Unbind, Remove)) for job in jobs for effect in job.effects)
    return BootStep(stage, name, tuple(jobs), concerns, own, alike, alike_to_all, shared, _table(inserting), _table(naming), takes_away)


def _written_to_named(job: Job) -> tuple[Effect, ...]:
    """A job's effects on devices that it names by address."""
    return tuple(effect for effect in job.effects if address_of(effect) not in (None, OWN))


def _table(found: t.Mapping[str, t.Iterable[int]]) -> Table:
    return {key: tuple(indices) for key, indices in found.items()}

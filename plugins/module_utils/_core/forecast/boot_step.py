# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One step of a boot: the jobs that run in it at the same time, and which of them are of interest to a device."""

from __future__ import annotations

import dataclasses
import operator
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import Job
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.events import OWN, Doubt, NewId, SetOverride, Unbind
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import LoadRequest

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Stage, StageName
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.events import Effect
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

Table = t.Mapping[str, tuple[int, ...]]
"""Indices of jobs."""


Placed = tuple[int, "Effect"]
"""An effect, and its place in its job."""


@dataclasses.dataclass(frozen=True)
class EffectsByAddress:
    """A job's effects by the address that they are about; under None those that are about no device in particular.

    Where a host's devices are claimed, each event writes the overrides of all: nobody may look through all that for each device.
    """

    by_address: t.Mapping[str | None, t.Sequence[Placed]]
    overrides: frozenset[str]
    """All drivers that the job names in an override, whosever it is."""

    @classmethod
    def of(cls, job: Job) -> EffectsByAddress:
        found: dict[str | None, list[Placed]] = {}
        for place, effect in enumerate(job.effects):
            found.setdefault(_address(effect), []).append((place, effect))
        named = (effect.driver for effect in job.effects if isinstance(effect, SetOverride))
        return cls(found, frozenset(driver for driver in named if driver is not None))

    def about(self, *addresses: str) -> tuple[Effect, ...]:
        """The effects that are about one of the addresses, or about no device in particular, in order."""
        found = [placed for address in (None, *addresses) for placed in self.by_address.get(address, ())]
        return tuple([effect for _place, effect in sorted(found, key=operator.itemgetter(0))])


@dataclasses.dataclass(frozen=True)
class BootStep:
    """A step's jobs, and for each device the job of its own event, if it has one."""

    stage: Stage
    name: StageName
    jobs: tuple[Job, ...]
    concerns: tuple[EffectsByAddress, ...]
    """For each job."""
    own: t.Mapping[str, int]
    alike: t.Mapping[int, int]
    """For each job the first that does the same to others: events of cards that are alike, whatever the reasons are."""
    alike_to_all: t.Mapping[int, int]
    """For each first job the first that writes the same to the devices that it names by their addresses."""
    shared: frozenset[int]
    """Those first jobs that more than one device or program has."""
    inserting: Table
    """By module, first jobs only."""
    naming: Table
    """By address, the jobs that write to the device's attributes; under OWN those that add an ID."""
    takes_away: bool
    """Whether any job takes a device from its owner."""

    def relevant_jobs(self, device: Device, candidates: frozenset[str]) -> tuple[Job, ...]:
        """The device's own event, and those jobs of others that load a driver for it or write to it; each kind once."""
        own = self.own.get(device.address)
        found = [] if own is None else [Job(self._effects_on(device, own, candidates), own=True)]
        indices = {index for module in candidates for index in self.inserting.get(module, ())}
        indices.update(self.naming.get(device.address, ()), self.naming.get(OWN, ()))
        same = None if own is None else (_kind(found[0].effects, candidates), self.alike_to_all[self.alike[own]])
        foreign: dict[tuple[t.Hashable, ...], tuple[Effect, ...]] = {}
        for index in sorted(indices):
            if own is None or index != self.alike[own] or index in self.shared:
                # What another's event does to its own device is nothing to this one.
                effects = tuple(effect for effect in self._effects_on(device, index, candidates) if _address(effect) != OWN)
                # A job that does no other than the device's own event makes no difference by coming first.
                if (_kind(effects, candidates), self.alike_to_all[index]) != same:
                    foreign.setdefault(_kind(effects, candidates), effects)
        return (*found, *(Job(effects) for effects in foreign.values() if effects))

    def _effects_on(self, device: Device, index: int, candidates: frozenset[str]) -> tuple[Effect, ...]:
        return relevant(self.concerns[index].about(device.address, OWN), candidates)


def relevant(effects: tuple[Effect, ...], candidates: frozenset[str]) -> tuple[Effect, ...]:
    """Without what loads nothing that could take the device."""
    return tuple(
        effect
        for effect in effects
        if not isinstance(effect, LoadRequest) or not candidates.isdisjoint((effect.module, *effect.insertions))
    )


def _kind(effects: tuple[Effect, ...], candidates: frozenset[str] | None = None) -> tuple[t.Hashable, ...]:
    """What a job does to a device, whatever the reasons are: jobs of one kind are as good as one."""
    return tuple(
        (effect.module, *(module for module in effect.insertions if candidates is None or module in candidates))
        if isinstance(effect, LoadRequest)
        else effect
        for effect in effects
        if not isinstance(effect, Doubt)
    )


def make_boot_step(
    stage: Stage, name: StageName, lists: t.Iterable[Job], events: t.Mapping[str, tuple[Effect, ...]], devices: t.Mapping[str, int]
) -> BootStep:
    """A step: the jobs of ``lists``, and the events by address; ``devices`` is how many each address stands for."""
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
        for effect in jobs[index].effects:
            if isinstance(effect, LoadRequest):
                for module in effect.insertions:
                    inserting.setdefault(module, {})[index] = None
            elif isinstance(effect, NewId):
                naming.setdefault(OWN, {})[index] = None
            elif not isinstance(effect, Doubt) and effect.address != OWN:
                naming.setdefault(effect.address, {})[index] = None
    counts: dict[int, int] = {}
    for index, first in alike.items():
        counts[first] = counts.get(first, 0) + owners.get(index, 1)
    shared = frozenset(first for first, count in counts.items() if count > 1)
    concerns = tuple(map(EffectsByAddress.of, jobs))
    written: dict[tuple[Effect, ...], int] = {}
    alike_to_all = {index: written.setdefault(_written_to_named(jobs[index]), index) for index in firsts.values()}
    takes_away = any(isinstance(effect, Unbind) for job in jobs for effect in job.effects)
    return BootStep(stage, name, tuple(jobs), concerns, own, alike, alike_to_all, shared, _table(inserting), _table(naming), takes_away)


def _written_to_named(job: Job) -> tuple[Effect, ...]:
    """What a job does to devices that it names by their addresses."""
    return tuple(effect for effect in job.effects if _address(effect) not in (None, OWN))


def _address(effect: Effect) -> str | None:
    """The device that an effect is about; None where it is about none in particular."""
    return None if isinstance(effect, (LoadRequest, NewId, Doubt)) else effect.address


def _table(found: t.Mapping[str, t.Iterable[int]]) -> Table:
    return {key: tuple(indices) for key, indices in found.items()}

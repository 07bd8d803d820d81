# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One step of a boot: the jobs that run in it at the same time, and which of them are of interest to a device."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.events import OWN, Doubt, NewId, Unbind
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.play import Job
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import Request

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.devices.pci import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.events import Effect
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.facts import Stage

Table = t.Mapping[str, tuple[int, ...]]
"""Indices of jobs."""


@dataclasses.dataclass(frozen=True)
class Scene:
    """A step's jobs, and for each device the job of its own event, if it has one."""

    stage: Stage
    name: str
    jobs: tuple[Job, ...]
    own: t.Mapping[str, int]
    alike: t.Mapping[int, int]
    """For each job the first that does the same to others: events of cards that are alike, whatever the reasons are."""
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
        found = [] if own is None else [Job(relevant(self.jobs[own].effects, candidates), own=True)]
        indices = {index for module in candidates for index in self.inserting.get(module, ())}
        indices.update(self.naming.get(device.address, ()), self.naming.get(OWN, ()))
        foreign: dict[tuple[t.Hashable, ...], tuple[Effect, ...]] = {}
        for index in sorted(indices):
            if own is None or index != self.alike[own] or index in self.shared:
                effects = relevant(self.jobs[index].effects, candidates)
                foreign.setdefault(_kind(effects, candidates), effects)
        if found:
            # A job that does no other than the device's own event makes no difference by coming first.
            foreign.pop(_kind(found[0].effects, candidates), None)
        return (*found, *(Job(effects) for effects in foreign.values() if effects))


def relevant(effects: tuple[Effect, ...], candidates: frozenset[str]) -> tuple[Effect, ...]:
    """Without what loads nothing that could take the device."""
    return tuple(
        effect for effect in effects if not isinstance(effect, Request) or not candidates.isdisjoint((effect.module, *effect.insertions))
    )


def _kind(effects: tuple[Effect, ...], candidates: frozenset[str] | None = None) -> tuple[t.Hashable, ...]:
    """What a job does to a device, whatever the reasons are: jobs of one kind are as good as one."""
    return tuple(
        (effect.module, *(module for module in effect.insertions if candidates is None or module in candidates))
        if isinstance(effect, Request)
        else effect
        for effect in effects
        if not isinstance(effect, Doubt)
    )


def set_scene(
    stage: Stage, name: str, lists: t.Iterable[Job], events: t.Mapping[str, tuple[Effect, ...]], devices: t.Mapping[str, int]
) -> Scene:
    """The scene of a step: the jobs of ``lists``, and the events by address; ``devices`` is how many each address stands for."""
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
            if isinstance(effect, Request):
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
    takes_away = any(isinstance(effect, Unbind) for job in jobs for effect in job.effects)
    return Scene(stage, name, tuple(jobs), own, alike, shared, _table(inserting), _table(naming), takes_away)


def _table(found: t.Mapping[str, t.Iterable[int]]) -> Table:
    return {key: tuple(indices) for key, indices in found.items()}

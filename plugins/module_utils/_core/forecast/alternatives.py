# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drivers that may or may not take a device: what happens in both cases.

A module may have an option whose effect is not known, a driver's probe may depend on firmware.  Such a driver is tried as one that
takes the device, and as one that leaves it to the next.
"""

from __future__ import annotations

import dataclasses
import itertools
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast import matching
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import DeviceSimulation, orders
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import NewId, SetOverride, plain
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.influences import Unclear
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import LoadRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.settings import unclear

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import (
        DeviceState,
        Job,
        ProbeContext,
        Registration,
    )

MOST = 6
"""How many such drivers are left out one by one; more are left out together."""
States = tuple["DeviceState", ...]


def distinct(states: t.Iterable[DeviceState]) -> States:
    """The first state of each outcome, in order."""
    found: dict[t.Hashable, DeviceState] = {}
    for state in states:
        found.setdefault(state.outcome, state)
    return tuple(found.values())


def registrations_of(job: Job, registers: t.Callable[[str, str], tuple[Registration, ...]]) -> t.Iterator[Registration]:
    """What a job's modules register."""
    for effect in map(plain, job.effects):
        if isinstance(effect, LoadRequest):
            for module in effect.insertions:
                yield from registers(module, effect.alias_of(module))


@dataclasses.dataclass(frozen=True)
class Trial:
    """A device before a step, or when it appears.  ``registered`` and ``loaded`` are what there is by then."""

    context: ProbeContext
    states: States
    registered: t.Sequence[Registration]
    loaded: t.Container[str]
    eventful: bool = False
    """Whether the coming of modules causes events that do something."""

    def of_jobs(self, jobs: t.Sequence[Job]) -> tuple[States, tuple[Unclear, ...]]:
        """What the jobs of a step make of the device, and what is unclear about it."""
        brought = [one for job in jobs for one in registrations_of(job, self.context.registers)]
        detached = any(state.pending for state in self.states) or any(one.detached is not None for one in brought)
        named = {effect.driver for job in jobs for effect in map(plain, job.effects) if isinstance(effect, (SetOverride, NewId))}
        waits = (False, True) if self.context.has_further_events or self.eventful else (False,)

        def run(context: ProbeContext) -> t.Iterator[DeviceState]:
            for late, waiting in itertools.product((False, True) if detached else (False,), waits):
                for state in self.states:
                    for order in orders(jobs):
                        yield DeviceSimulation(context, state, self.registered, self.loaded, late, waiting).run(order)

        return self.of(run, brought, named)

    def of(
        self,
        run: t.Callable[[ProbeContext], t.Iterable[DeviceState]],
        brought: t.Iterable[Registration] = (),
        named: t.Collection[str | None] = (),
    ) -> tuple[States, tuple[Unclear, ...]]:
        """The states that ``run`` yields, whoever of the drivers that may decline does."""
        states = distinct(run(self.context))
        doubtful = dict(self._doubtful((*self.registered, *brought), named))
        if not doubtful:
            return states, ()
        found, reasons = list(states), list[str]()
        for names in (frozenset(doubtful), *(frozenset((name,)) for name in (list(doubtful)[:MOST] if len(doubtful) > 1 else ()))):
            other = distinct(run(dataclasses.replace(self.context, left_out=names)))
            if {state.driver for state in other} != {state.driver for state in states}:
                reasons += (doubtful[name] for name in names)
            found += other
        # The owners are among the states, which further steps may make one again.
        return distinct(found), tuple(Unclear(reason, ()) for reason in dict.fromkeys(reasons))

    def _doubtful(self, registrations: t.Iterable[Registration], named: t.Collection[str | None]) -> t.Iterator[tuple[str, str]]:
        """The drivers that match the device and may not take it, each with the reason."""
        context = self.context
        overrides = {*named, *(state.override for state in self.states)} - {None}
        for registration in registrations:
            driver = registration.driver
            if driver.name not in overrides and not matching.matches(driver, registration.ids, context.device, None):
                continue
            if registration.unclear:
                yield driver.name, registration.unclear[0]
                continue
            declines = context.declines(registration)
            if declines is not None and not declines.certain:
                yield driver.name, unclear(declines)

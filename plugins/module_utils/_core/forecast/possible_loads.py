# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that something may load that is not simulated: what asks for them afterwards loads nothing, and offers no device to them."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import Job
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.influences import Unclear

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.alternatives import Trial
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import DeviceState
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.influences import Reach
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import LoadRequest
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence


class PossibleLoads:
    """Those of one boot so far; ``loaded`` are the modules that are loaded for certain."""

    def __init__(self, loaded: t.Container[str]) -> None:
        self._loaded = loaded
        self._known: dict[tuple[str, bool], tuple[Influence, tuple[LoadRequest, ...]]] = {}
        self._spared: dict[str, str | None] = {}
        """By module: the only device for which what loads it is simulated."""

    def note(self, reach: Reach, influences: t.Iterable[Influence], spared: str | None = None) -> None:
        """``spared`` is the address of the device for which all this is simulated."""
        for one in influences:
            for name in sorted(one.modules or ()) if "load" in one.acts else ():
                key = (name, one.by_modprobe)
                if key not in self._known and name not in self._loaded:
                    self._known[key] = one, reach.requests(*key)
                if self._spared.setdefault(name, spared) != spared:
                    self._spared[name] = None

    def unclear(
        self, address: str, trial: Trial, jobs: tuple[Job, ...], candidates: frozenset[str], states: tuple[DeviceState, ...]
    ) -> t.Iterator[Unclear]:
        """What else the jobs of a step make of a device if such a module is loaded before, or beside them."""
        found = {state.driver for state in states}
        for (name, _by_modprobe), (influence, requests) in self._known.items():
            wanted = {module for request in requests for module in request.insertions} & candidates
            if name in self._loaded or not wanted or address == self._spared[name]:
                continue
            others, _open_ends = trial.of_jobs((*jobs, Job(requests)))
            owners = tuple(dict.fromkeys(state.driver for state in others))
            if not found.issuperset(owners):
                yield Unclear(str(influence), owners)

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the machine's functions are which of the host's: by their places, whatever numbers the machine's firmware gave to the buses."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.host_function import Listed
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.places import MachinePlaces, machine_path
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.trace import BootTrace

_OTHER_NUMBER = "the machine's firmware gave its bus another number"


@dataclass(frozen=True)
class Located:
    """``report`` names the host's addresses. ``moved``: the address in the machine of those that have another one there, and why.

    ``absent`` says why a function that was given a place is not in the machine; ``same`` are those that have been given none, as the
    machine has its own of just that kind there.
    """

    report: BootTrace
    moved: t.Mapping[str, tuple[str, str]]
    absent: t.Mapping[str, str]
    same: frozenset[str] = frozenset()


def located(report: BootTrace, places: MachinePlaces, functions: t.Sequence[Listed]) -> Located:
    there = {machine_path(path): address for address, path in report.paths.items()}
    on_host = {str(one["address"]): str(one["modalias"]) for one in functions}
    moved: dict[str, tuple[str, str]] = {}
    absent: dict[str, str] = {}
    for address, path in places.paths.items():
        found = there.get(path)
        if found is None or report.modaliases.get(found) != on_host[address]:
            absent[address] = "the machine's kernel did not find it at its place"
        elif found in on_host and found != address:
            absent[address] = f"the machine's firmware gave it {found}, the address of another device of the host"
        elif found != address:
            moved[address] = (found, places.moved.get(address, _OTHER_NUMBER))
    same = {name for name, path in places.own.items() if there.get(path) == name and report.modaliases.get(name) == on_host[name]}
    renamed = _renamed(report, {found: address for address, (found, _why) in moved.items()})
    return Located(renamed, moved, absent, frozenset(same - {found for found, _why in moved.values()}))


def _renamed(report: BootTrace, addresses: t.Mapping[str, str]) -> BootTrace:
    """What the machine has of its own at the address of a moved function is left out."""
    own = set(addresses.values()) - addresses.keys()

    def by_device(values: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        return {addresses.get(name, name): value for name, value in values.items() if name not in own}

    return replace(
        report,
        events=tuple(
            replace(event, device=addresses.get(event.device, event.device)) for event in report.events if event.device not in own
        ),
        owners=by_device(report.owners),
        modaliases=by_device(report.modaliases),
        overrides=by_device(report.overrides),
        log=by_device(report.log),
        windows=by_device(report.windows),
    )

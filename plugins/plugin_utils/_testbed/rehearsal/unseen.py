# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What decides about a device on the host, and may not have in a rehearsed boot, or may come earlier or later there."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, fields

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.owner import given, owner_of
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.trace import OFFERED, Report, offers

_BIND = "bind"
#: What programs ask for by a device's name.
_BY_NAME = frozenset(("asks", "binds", "unbinds"))
#: By which a driver loses its device.
_TAKES_AWAY = frozenset(("unbind", "remove", "refuse"))


@dataclass(frozen=True)
class Cause:
    """A rule's act at the event ``event`` of ``device``, or a program's where these are None, as the forecast knows it."""

    source: str
    fact: str
    acts: tuple[str, ...] = ()
    event: str | None = None
    device: str | None = None
    drivers: tuple[str, ...] | None = None


def causes_of(forecast: t.Mapping[str, t.Any] | None) -> tuple[Cause, ...]:
    """Of one device and kernel."""
    names = [field.name for field in fields(Cause)]
    return tuple(Cause(**{name: _unchanging(one[name]) for name in names}) for one in (forecast or {}).get("hidden", ()))


def _unchanging(value: t.Any) -> t.Any:
    return tuple(value) if isinstance(value, list) else value


def not_shown(report: Report, causes: t.Iterable[Cause]) -> list[Cause]:
    """The rules that act when a driver comes or goes whose probe has failed here: udev never heard of it."""
    return [one for one in causes if one.device is not None and not _was_heard(report, one, one.device)]


def _was_heard(report: Report, cause: Cause, address: str) -> bool:
    owner = owner_of(report, address)
    if cause.event == _BIND:
        drivers = [] if owner is None else [owner.driver]
    else:
        is_freed = any(event.kind == "unbinds" and event.device == address for event in report.events)
        drivers = [one.driver for one in offers(report, address)] if is_freed or given(report.events, address) else []
    bound = report.owners.get(address)
    missed = {_name(one) for one in drivers if one != bound}
    return not missed if cause.drivers is None else missed.isdisjoint(map(_name, cause.drivers))


def racing(report: Report, address: str, causes: t.Iterable[Cause]) -> list[Cause]:
    """The programs of which one has acted on the device beside whatever else did, so that in another boot it may come first, or last."""
    found = [one for one in causes if one.device is None]
    return found if found and _is_touched(report, address) else []


def idle(report: Report, address: str, causes: t.Iterable[Cause]) -> list[Cause]:
    """The programs that could take the device from its driver, and may have found none to take it from here."""
    owner = owner_of(report, address)
    if owner is None or report.owners.get(address) == owner.driver:
        return []
    return [one for one in causes if one.device is None and not _TAKES_AWAY.isdisjoint(one.acts)]


def _is_touched(report: Report, address: str) -> bool:
    """Whether something but a driver's own coming has acted on the device, or drivers came by several programs."""
    made = [event for event in report.events if event.device == address and event.kind == OFFERED]
    several = len({event.driver for event in made}) > 1 and len({event.process for event in made}) > 1
    named = any(event.device == address and event.kind in _BY_NAME for event in report.events)
    return several or named or address in report.overrides


def said(report: Report, address: str, causes: t.Sequence[Cause]) -> list[str]:
    """A sentence about each, with its file and line."""
    racers = racing(report, address, causes)
    found = [
        *(f"{of_cause(one)} {_when(one)}, which udev does not hear here, as the probe fails" for one in not_shown(report, causes)),
        *(f"{of_cause(one)} beside udev, and may come earlier or later there" for one in racers),
        *(
            f"{of_cause(one)}, and may find no driver to take it from here, as the probe fails"
            for one in idle(report, address, causes)
            if one not in racers
        ),
    ]
    return [f"{address} may have another owner on the host: {one}" for one in dict.fromkeys(found)]


def _when(cause: Cause) -> str:
    return f"when a driver {'comes to' if cause.event == _BIND else 'leaves'} {cause.device}"


def of_cause(cause: Cause) -> str:
    """A clause with its file and line."""
    return f"{cause.source} ({cause.fact}) acts"


def _name(driver: str) -> str:
    return driver.replace("-", "_")

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What decides about a device on the host, and may not have in a rehearsed boot, or may come earlier or later there."""

from __future__ import annotations

import typing as t
from dataclasses import fields

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.hidden_cause import CHILD, PROBE, HiddenCause
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import BIND
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.owner import given, owner_of
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.trace import OFFERED, BootTrace, TraceEvent, offers

#: What programs ask for by a device's name.
_BY_NAME = frozenset(("asks", "binds", "unbinds"))
_UDEV = ("(udev-worker)", "systemd-udevd", "udevd")
#: By which a driver loses its device.
_TAKES_AWAY = frozenset(("unbind", "remove", "refuse"))


def causes_of(forecast: t.Mapping[str, t.Any] | None) -> tuple[HiddenCause, ...]:
    """Of one device and kernel."""
    names = [field.name for field in fields(HiddenCause)]
    return tuple(HiddenCause(**{name: _unchanging(one[name]) for name in names}) for one in (forecast or {}).get("hidden", ()))


def _unchanging(value: t.Any) -> t.Any:
    return tuple(value) if isinstance(value, list) else value


def not_shown(report: BootTrace, causes: t.Iterable[HiddenCause]) -> list[HiddenCause]:
    """The rules that act when a driver comes or goes whose probe has failed here, or when what it makes comes; and such probes."""
    return [one for one in causes if one.device is not None and not _was_heard(report, one, one.device)]


def _was_heard(report: BootTrace, cause: HiddenCause, address: str) -> bool:
    if cause.event == CHILD:
        return all(_is_bound(report, offered) for offered in {event.device for event in report.events if event.kind == OFFERED})
    owner = owner_of(report, address)
    if cause.event in (BIND, PROBE):
        drivers = [] if owner is None else [owner.driver]
    else:
        is_freed = any(event.kind == "unbinds" and event.device == address for event in report.events)
        drivers = [one.driver for one in offers(report, address)] if is_freed or given(report.events, address) else []
    bound = report.owners.get(address)
    missed = {_name(one) for one in drivers if one != bound}
    return not missed if cause.drivers is None else missed.isdisjoint(map(_name, cause.drivers))


def _is_bound(report: BootTrace, address: str) -> bool:
    """Whether the owner's probe has succeeded here, too."""
    owner = owner_of(report, address)
    return owner is None or _name(owner.driver) == _name(report.owners.get(address) or "")


def racing(report: BootTrace, address: str, causes: t.Iterable[HiddenCause]) -> list[HiddenCause]:
    """The programs of which one has acted on the device beside whatever else did, so that in another boot it may come first, or last."""
    programs = [one for one in causes if one.device is None]
    is_touched = bool(programs) and _is_touched(report, address)
    return [one for one in programs if is_touched or ("load" in one.acts and _is_loaded(report, address, one))]


def idle(report: BootTrace, address: str, causes: t.Iterable[HiddenCause]) -> list[HiddenCause]:
    """The programs that could take the device from its driver, and may have found none to take it from here."""
    owner = owner_of(report, address)
    if owner is None or report.owners.get(address) == owner.driver:
        return []
    return [one for one in causes if one.device is None and not _TAKES_AWAY.isdisjoint(one.acts)]


def _is_touched(report: BootTrace, address: str) -> bool:
    """Whether something but a driver's own coming has acted on the device, or drivers came by several programs."""
    of_device = [event for event in report.events if event.device == address]
    made = [event for event in of_device if event.kind == OFFERED]
    loading = {event.process for event in report.events if event.kind == "loading"}
    several = len({event.driver for event in made}) > 1 and len({event.process for event in made}) > 1
    # What is offered without a load was asked for: by new_id, by a rescan, or by the device's name.
    asked = any(event.process not in loading and not _is_kernel(event) for event in made)
    return several or asked or address in report.overrides or any(event.kind in _BY_NAME for event in of_device)


def _is_loaded(report: BootTrace, address: str, cause: HiddenCause) -> bool:
    """Whether another program than udev has loaded what the cause may load, or, if that can be anything, what the device was offered to."""
    loads = [event for event in report.events if event.kind == "loading" and not event.who.startswith(_UDEV)]
    if cause.modules is not None:
        return not {_name(event.driver) for event in loads}.isdisjoint(map(_name, cause.modules))
    offered = {event.process for event in report.events if event.kind == OFFERED and event.device == address}
    return not offered.isdisjoint(event.process for event in loads)


def _is_kernel(event: TraceEvent) -> bool:
    """The first process is the kernel's own until it becomes init; a driver may ask for its probes to come in a thread."""
    return event.process == 1 or event.who.startswith("kworker")


def said(report: BootTrace, address: str, causes: t.Sequence[HiddenCause]) -> list[str]:
    """A sentence about each, with its file and line."""
    racers = racing(report, address, causes)
    found = [
        *(missing(one) for one in not_shown(report, causes)),
        *(f"{of_cause(one)} beside udev, and may come earlier or later there" for one in racers),
        *(
            f"{of_cause(one)}, and may find no driver to take it from here, as the probe fails"
            for one in idle(report, address, causes)
            if one not in racers
        ),
    ]
    return [f"{address} may have another owner on the host: {one}" for one in dict.fromkeys(found)]


def missing(cause: HiddenCause) -> str:
    """A clause about one that this boot has not shown."""
    if cause.event == PROBE:
        return f"{cause.source} may decline it, as {cause.fact}, and it fails here"
    if cause.event == CHILD:
        return f"{of_cause(cause)} when something comes that a driver makes of a function, such as an interface: here probes fail first"
    return f"{of_cause(cause)} when a driver {'comes to' if cause.event == BIND else 'leaves'} {cause.device}: here the probe fails first"


def of_cause(cause: HiddenCause) -> str:
    """A clause with its file and line."""
    return f"{cause.source} ({cause.fact}) acts"


def _name(driver: str) -> str:
    return driver.replace("-", "_")

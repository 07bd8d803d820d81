# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who would own a device at the end of a boot, by its trace, if each probe ended as it does on the card.

A driver whose probe fails may own the card: the machine's function has nothing behind its registers. One that declines a device before it
has mapped any of its registers has decided by what the machine has, too: IDs, revision, parameters, other devices.
"""

from __future__ import annotations

import errno
import typing as t
from dataclasses import dataclass

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.trace import (
    MAPPED,
    OFFERED,
    TAKEN,
    BootTrace,
    TraceEvent,
)

VFIO_PCI = "vfio-pci"
#: With these call_driver_probe() says that a driver rejects the match.
_DECLINED = (-errno.ENODEV, -errno.ENXIO)


@dataclass(frozen=True)
class Decline:
    """An offer that a driver has declined. ``mapped``: it may have looked at registers before, of which the machine has none."""

    offer: TraceEvent
    error: int
    mapped: bool


def owner_of(report: BootTrace, address: str) -> TraceEvent | None:
    """The offer by which the device would be owned at the end if each first probe succeeded, as it does on the card.

    Whoever unbinds a device, or removes the driver's module, makes room for the next offer; other later offers are there only because the
    probe of an emulated function fails.
    """
    owner: TraceEvent | None = None
    refusals = _refusals(report, address) | {one.offer for one in declines(report, address) if not one.mapped}
    loading = {event.process for event in report.events if event.kind == "loading"}
    for event in report.events:
        if event.kind == OFFERED and event.device == address and owner is None:
            owner = event if event not in refusals else None
        elif event.kind == "unbinds" and event.device == address and owner is not None and owner.driver == event.driver:
            owner = None
        elif event.kind == "leaving" and owner is not None and event.driver == owner.driver and event.process not in loading:
            # A module whose probes have all failed may leave by itself, in the process that loads it.
            owner = None
    return owner


def declines(report: BootTrace, address: str) -> tuple[Decline, ...]:
    """The offers that drivers have declined, as far as the kernel's log tells; none where it has other offers than the trace."""
    events = report.events
    made = [index for index, event in enumerate(events) if event.kind == OFFERED and event.device == address]
    logged = report.log.get(address, ())
    if [events[index].driver for index in made] != [one.driver for one in logged]:
        return ()
    found = []
    for index, end, probe in zip(made, (*made, len(events))[1:], logged, strict=True):
        if probe.error in _DECLINED:
            found.append(Decline(events[index], probe.error, _may_be_mapped(report, address, events[index:end])))
    return tuple(found)


def _may_be_mapped(report: BootTrace, address: str, during: t.Iterable[TraceEvent]) -> bool:
    """Whether a window of the device was mapped; so it is held to be where nothing is known about mappings.

    A device without windows is one of which nothing is known, either: drivers decline it because they are missing.
    """
    windows = report.windows.get(address, ())
    if not windows or not any(event.kind == MAPPED for event in report.events):
        return True
    return any(event.kind in (MAPPED, TAKEN) and any(event.at in window for window in windows) for event in during)


def rival_of(report: BootTrace, owner: TraceEvent) -> TraceEvent | None:
    """The offer to another driver that a program asked for by the device's name while the owner was there.

    A program that gives a device to a driver unbinds it first. Where the owner's probe has failed, which it does not on the card, it finds
    no driver to unbind: it may be the other one's on the host.
    """
    if report.owners.get(owner.device) == owner.driver:
        return None
    others = [one for one in given(report.events[report.events.index(owner) + 1 :], owner.device) if one.driver != owner.driver]
    return others[-1] if others else None


def late_override_of(report: BootTrace, address: str) -> str | None:
    """The driver that a device was overridden to when that driver had come already, so that it was offered to none.

    Whoever loads the driver and whoever sets `driver_override` run beside each other: had the override come first, the driver would have
    taken the device as it registered itself.
    """
    wanted = report.overrides.get(address)
    if wanted is None or report.owners.get(address):
        return None
    known = [event for event in report.events if event.driver.replace("-", "_") == wanted.replace("-", "_")]
    was_offered = any(event.kind == OFFERED and event.device == address for event in known)
    return wanted if known and not was_offered else None


def given(events: t.Sequence[TraceEvent], address: str) -> list[TraceEvent]:
    """The offers in the process of a program that asks for the device by its name, before or after them: writing `driver_override` may
    have brought one already."""
    of_device = [event for event in events if event.device == address]
    asked = {event.process for event in of_device if event.kind in ("asks", "binds")}
    return [event for event in of_device if event.kind == OFFERED and event.process in asked]


def _refusals(report: BootTrace, address: str) -> frozenset[TraceEvent]:
    """Offers that vfio-pci has declined. It asks nothing of the card, so that it declines for reasons that the host has, too: no IOMMU."""
    made = [event for event in report.events if event.device == address and event.kind in (OFFERED, "unbinds")]
    of_vfio = [event for event in made if event.driver == VFIO_PCI]
    was_bound = report.owners.get(address) == VFIO_PCI or any(event.kind == "unbinds" for event in of_vfio)
    return frozenset() if was_bound else frozenset(of_vfio)


def decision(report: BootTrace, owner: TraceEvent) -> str:
    """The line of the trace that decided: the load of the driver, by the same process if it can be, else the offer."""
    loads = [event for event in report.events if _loads(event, owner)]
    own = [event for event in loads if event.process == owner.process]
    return (own or loads or [owner])[-1].line


def _loads(event: TraceEvent, owner: TraceEvent) -> bool:
    """Whether an event loads the driver's module before the offer, which a driver may have made by a thread of the kernel."""
    same = event.driver.replace("-", "_") == owner.driver.replace("-", "_")
    return event.kind == "loading" and same and event.seconds <= owner.seconds

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rehearsed boot reported: to whom the kernel offered each function, who asked for it, and who owns it therefore.

A probe of an emulated function fails that would succeed on the card, so what counts is the offer: really_probe() in drivers/base/dd.c is
called once the bus, `driver_override` and the ID tables have said yes.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

OFFERED = "offered"
#: Kprobe events, on the kernel's command line: `struct device` begins with its kobject, which begins with the name's address, and `struct
#: device_driver` with the name's; `struct module` has its name behind an integer and a list head.
EVENTS = {
    OFFERED: "really_probe,dev=+0(+0(%di)):string,drv=+0(+0(%si)):string",
    "loading": "do_init_module,name=+24(%di):string",
    "asks": "drivers_probe_store,dev=+0(%si):string",
    "binds": "bind_store,drv=+0(+0(%di)):string,dev=+0(%si):string",
    "unbinds": "unbind_store,drv=+0(+0(%di)):string,dev=+0(%si):string",
    "leaving": "driver_unregister,drv=+0(+0(%di)):string",
}
VFIO_PCI = "vfio-pci"
KERNEL, INITRAMFS, ROOT = "kernel", "initramfs", "root"
_MARK = "@rehearsal "
_LINE = re.compile(
    r"\s*(?P<who>.+)-(?P<pid>\d+)\s+(?:\([-\d\s]+\)\s+)?\[\d+\]\s+\S+\s+(?P<time>\d+\.\d+): (?P<event>\w+): \([^)]*\)(?P<rest>.*)"
)
#: What was written to a file may end with a line end, and the quotes then stand on the next line.
_VALUE = re.compile(r'(\w+)="([^"]*)')
_LOGGED = re.compile(
    # A driver's name can have blanks: "i6300ESB timer".
    r"bus: 'pci': really_probe: probing driver (.+) with device (\S+)"
    r"|pci (\S+): bus: 'pci': really_probe: probing driver (.+?)(?: with device)?\s*$"
)


@dataclass(frozen=True)
class Event:
    """A line of the trace: ``kind`` is one of `EVENTS`, ``who`` the program's name as the kernel has it."""

    kind: str
    who: str
    process: int
    seconds: float
    device: str
    driver: str
    line: str


@dataclass(frozen=True)
class Offer:
    """``module`` is the load that came before the offer from the same process; ``stage`` is when."""

    driver: str
    who: str
    stage: str
    seconds: float
    line: str


@dataclass(frozen=True)
class Report:
    """``root_from``: when the init of the root started.  ``log`` are the kernel's own lines about offers, by device, as are ``paths``, each
    function's directory in sysfs."""

    events: tuple[Event, ...]
    owners: t.Mapping[str, str | None]
    modaliases: t.Mapping[str, str]
    overrides: t.Mapping[str, str]
    root_from: float
    log: t.Mapping[str, tuple[str, ...]]
    refused: tuple[str, ...]
    failed_units: tuple[str, ...]
    seconds: float
    state: str = ""
    paths: t.Mapping[str, str] = field(default_factory=dict)


class UnfinishedError(Exception):
    """The machine did not come to the end of its report."""


def command_line_word() -> str:
    """The argument that makes the kernel trace from its first driver on."""
    return "kprobe_event=" + ";".join(f"p:{name},{probe}" for name, probe in EVENTS.items())


def parse(text: str) -> Report:
    """From what the report unit wrote.  Raises UnfinishedError if its end is missing."""
    lines = [line.rstrip("\r") for line in text.split("\n")]
    sections: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith(_MARK):
            kind, _blank, rest = line.removeprefix(_MARK).partition(" ")
            sections.setdefault(kind, []).append(rest)
    if "end" not in sections:
        raise UnfinishedError
    log: dict[str, list[str]] = {}
    for line in sections.get("log", ()):
        found = _LOGGED.search(line)
        if found:
            log.setdefault((found[2] or found[3]).rstrip(), []).append(found[1] or found[4])
    return Report(
        events=events_of(sections.get("trace", ())),
        owners={name: driver or None for name, driver in map(_pair, sections.get("owner", ()))},
        modaliases=dict(map(_pair, sections.get("identity", ()))),
        overrides={name: value for name, value in map(_pair, sections.get("override", ())) if value not in ("", "(null)")},
        root_from=int((sections.get("root") or ["0"])[0] or 0) / 1e6,
        log={name: tuple(drivers) for name, drivers in log.items()},
        refused=tuple(sections.get("refused", ())),
        failed_units=tuple(line.split()[0] for line in sections.get("failed", ()) if line.split()),
        state=(sections.get("state") or [""])[0].strip(),
        paths={name: path.removeprefix("/sys") for name, path in map(_pair, sections.get("path", ()))},
        seconds=float((sections.get("uptime") or ["0"])[0].split()[0]),
    )


def events_of(lines: t.Iterable[str]) -> tuple[Event, ...]:
    """Those of `EVENTS` in the kernel's own trace."""
    return tuple(event for event in map(_event, lines) if event is not None)


def _pair(line: str) -> tuple[str, str]:
    name, _blank, value = line.partition(" ")
    return name, value


def _event(line: str) -> Event | None:
    found = _LINE.fullmatch(line)
    if found is None or found["event"] not in EVENTS:
        return None
    values = dict(_VALUE.findall(found["rest"]))
    driver = values.get("drv") or values.get("name", "")
    return Event(
        found["event"], found["who"].strip(), int(found["pid"]), float(found["time"]), values.get("dev", "").strip(), driver, line.strip()
    )


def offers(report: Report, address: str) -> tuple[Offer, ...]:
    """All of a device, in order."""
    return tuple(
        Offer(event.driver, event.who, stage_of(report, event), event.seconds, event.line)
        for event in report.events
        if event.kind == OFFERED and event.device == address
    )


def stage_of(report: Report, event: Event) -> str:
    """The first process is the kernel's own until it becomes init, which loads no driver by itself; the trace has its later name."""
    if event.process == 1:
        return KERNEL
    return ROOT if event.seconds >= report.root_from else INITRAMFS


def owner_of(report: Report, address: str) -> Event | None:
    """The offer by which the device would be owned at the end if each first probe succeeded, as it does on the card.

    Whoever unbinds a device, or removes the driver's module, makes room for the next offer; other later offers are there only because the
    probe of an emulated function fails.
    """
    owner: Event | None = None
    refusals = _refusals(report, address)
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


def rival_of(report: Report, owner: Event) -> Event | None:
    """The offer to another driver that a program asked for by the device's name while the owner was there.

    A program that gives a device to a driver unbinds it first. Where the owner's probe has failed, which it does not on the card, it finds
    no driver to unbind: it may be the other one's on the host.
    """
    if report.owners.get(owner.device) == owner.driver:
        return None
    others = [one for one in given(report.events[report.events.index(owner) + 1 :], owner.device) if one.driver != owner.driver]
    return others[-1] if others else None


def given(events: t.Sequence[Event], address: str) -> list[Event]:
    """The offers in the process of a program that asks for the device by its name, before or after them: writing `driver_override` may
    have brought one already."""
    of_device = [event for event in events if event.device == address]
    asked = {event.process for event in of_device if event.kind in ("asks", "binds")}
    return [event for event in of_device if event.kind == OFFERED and event.process in asked]


def _refusals(report: Report, address: str) -> frozenset[Event]:
    """Offers that vfio-pci has declined. It asks nothing of the card, so that it declines for reasons that the host has, too: no IOMMU."""
    made = [event for event in report.events if event.device == address and event.kind in (OFFERED, "unbinds")]
    of_vfio = [event for event in made if event.driver == VFIO_PCI]
    was_bound = report.owners.get(address) == VFIO_PCI or any(event.kind == "unbinds" for event in of_vfio)
    return frozenset() if was_bound else frozenset(of_vfio)


def decision(report: Report, owner: Event) -> str:
    """The line of the trace that decided: the load of the driver, by the same process if it can be, else the offer."""
    loads = [event for event in report.events if _loads(event, owner)]
    own = [event for event in loads if event.process == owner.process]
    return (own or loads or [owner])[-1].line


def _loads(event: Event, owner: Event) -> bool:
    """Whether an event loads the driver's module before the offer, which a driver may have made by a thread of the kernel."""
    same = event.driver.replace("-", "_") == owner.driver.replace("-", "_")
    return event.kind == "loading" and same and event.seconds <= owner.seconds

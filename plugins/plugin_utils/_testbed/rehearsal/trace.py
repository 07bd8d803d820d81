# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rehearsed boot reported: to whom the kernel offered each function, how that ended, and who asked for it.

A probe of an emulated function fails that would succeed on the card, so what counts is the offer: really_probe() in drivers/base/dd.c is
called once the bus, `driver_override` and the ID tables have said yes.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field, replace

OFFERED, MAPPED, TAKEN = "offered", "mapped", "taken"
#: Until Linux 6.12 or so a bus has the override, since then the device.
OVERRIDES = ("overrides", "overridden")
#: Kprobe events, on the kernel's command line: `struct device` begins with its kobject, which begins with the name's address, and `struct
#: device_driver` with the name's; `struct module` has its name behind an integer and a list head.
EVENTS = {
    OFFERED: "really_probe,dev=+0(+0(%di)):string,drv=+0(+0(%si)):string",
    "loading": "do_init_module,name=+24(%di):string",
    "asks": "drivers_probe_store,dev=+0(%si):string",
    "binds": "bind_store,drv=+0(+0(%di)):string,dev=+0(%si):string",
    "unbinds": "unbind_store,drv=+0(+0(%di)):string,dev=+0(%si):string",
    "leaving": "driver_unregister,drv=+0(+0(%di)):string",
    # Memory is mapped before anything is read there; of I/O ports a driver takes the region.
    MAPPED: "__ioremap_caller,at=%di:x64",
    TAKEN: "__request_region,at=%si:x64",
    # A kernel that has not the one function says so and goes on with the next event.
    "overrides": "driver_set_override,dev=+0(+0(%di)):string,name=+0(%dx):string",
    "overridden": "__device_set_driver_override,dev=+0(+0(%di)):string,name=+0(%si):string",
}
KERNEL, INITRAMFS, ROOT = "kernel", "initramfs", "root"
_MARK = "@rehearsal "
_LINE = re.compile(
    r"\s*(?P<who>.+)-(?P<pid>\d+)\s+(?:\([-\d\s]+\)\s+)?\[\d+\]\s+\S+\s+(?P<time>\d+\.\d+): (?P<event>\w+): \([^)]*\)(?P<rest>.*)"
)
#: What was written to a file may end with a line end, and the quotes then stand on the next line.
_VALUE = re.compile(r'(\w+)="([^"]*)')
#: linux/pci.h, PCI_ROM_RESOURCE: six windows of registers come before it.
_ROM = 6
_AT = re.compile(r"at=0x([0-9a-f]+)")
_LOGGED = re.compile(
    # A driver's name can have blanks: "i6300ESB timer".
    r"bus: 'pci': really_probe: probing driver (.+) with device (\S+)"
    r"|pci (\S+): bus: 'pci': really_probe: probing driver (.+?)(?: with device)?\s*$"
)
#: call_driver_probe() in drivers/base/dd.c, before Linux 6.7 and since.
_FAILED = re.compile(
    r"probe of (?P<old>\S+) (?:rejects match|failed with error) (?P<old_error>-\d+)"
    r"|(?P<new>\S+): probe with driver .+ (?:rejects match|failed with error) (?P<new_error>-\d+)"
)


@dataclass(frozen=True)
class TraceEvent:
    """A line of the trace: ``kind`` is one of `EVENTS`, ``who`` the program as the kernel names it; ``at`` where something is mapped."""

    kind: str
    who: str
    process: int
    seconds: float
    device: str
    driver: str
    line: str
    at: int = 0


@dataclass(frozen=True)
class Probe:
    """As the kernel's own log has it: to which driver a device was offered, and with which error that failed, if it is known to have."""

    driver: str
    error: int | None = None


@dataclass(frozen=True)
class Offer:
    """``module`` is the load that came before the offer from the same process; ``stage`` is when."""

    driver: str
    who: str
    stage: str
    seconds: float
    line: str


@dataclass(frozen=True)
class BootTrace:
    """``root_from``: when the init of the root started.  ``log`` are the kernel's own lines about offers, by device, as are ``paths``, each
    function's directory in sysfs, and ``windows``, the addresses of its registers; ``firmware`` are the folders of /sys/firmware.
    ``overriding``: when which `driver_override` was set, with an empty ``driver`` where it was taken away."""

    events: tuple[TraceEvent, ...]
    owners: t.Mapping[str, str | None]
    modaliases: t.Mapping[str, str]
    overrides: t.Mapping[str, str]
    root_from: float
    log: t.Mapping[str, tuple[Probe, ...]]
    refused: tuple[str, ...]
    failed_units: tuple[str, ...]
    seconds: float
    state: str = ""
    paths: t.Mapping[str, str] = field(default_factory=dict)
    windows: t.Mapping[str, tuple[range, ...]] = field(default_factory=dict)
    firmware: tuple[str, ...] = ()
    overriding: tuple[TraceEvent, ...] = ()


class UnfinishedError(Exception):
    """The machine did not come to the end of its report."""


def command_line_word() -> str:
    """The argument that makes the kernel trace from its first driver on."""
    return "kprobe_event=" + ";".join(f"p:{name},{probe}" for name, probe in EVENTS.items())


def parse(text: str) -> BootTrace:
    """From what the report unit wrote.  Raises UnfinishedError if its end is missing."""
    lines = [line.rstrip("\r") for line in text.split("\n")]
    sections: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith(_MARK):
            kind, _blank, rest = line.removeprefix(_MARK).partition(" ")
            sections.setdefault(kind, []).append(rest)
    if "end" not in sections:
        raise UnfinishedError
    events = events_of(sections.get("trace", ()))
    return BootTrace(
        events=tuple(event for event in events if event.kind not in OVERRIDES),
        overriding=tuple(event for event in events if event.kind in OVERRIDES),
        owners={name: driver or None for name, driver in map(_pair, sections.get("owner", ()))},
        modaliases=dict(map(_pair, sections.get("identity", ()))),
        overrides={name: value for name, value in map(_pair, sections.get("override", ())) if value not in ("", "(null)")},
        root_from=int((sections.get("root") or ["0"])[0] or 0) / 1e6,
        log=_log(sections.get("log", ())),
        refused=tuple(sections.get("refused", ())),
        failed_units=tuple(line.split()[0] for line in sections.get("failed", ()) if line.split()),
        state=(sections.get("state") or [""])[0].strip(),
        paths={name: path.removeprefix("/sys") for name, path in map(_pair, sections.get("path", ()))},
        windows=_windows(sections.get("window", ())),
        firmware=tuple(sections.get("firmware", ())),
        seconds=float((sections.get("uptime") or ["0"])[0].split()[0]),
    )


def events_of(lines: t.Iterable[str]) -> tuple[TraceEvent, ...]:
    """Those of `EVENTS` in the kernel's own trace."""
    return tuple(event for event in map(_event, lines) if event is not None)


def _pair(line: str) -> tuple[str, str]:
    name, _blank, value = line.partition(" ")
    return name, value


def _log(lines: t.Iterable[str]) -> dict[str, tuple[Probe, ...]]:
    """By device; of one device one probe ends before the next begins."""
    log: dict[str, list[Probe]] = {}
    for line in lines:
        offered, failed = _LOGGED.search(line), _FAILED.search(line)
        if offered:
            log.setdefault((offered[2] or offered[3]).rstrip(), []).append(Probe(offered[1] or offered[4]))
        elif failed and log.get(failed["old"] or failed["new"]):
            probes = log[failed["old"] or failed["new"]]
            probes[-1] = replace(probes[-1], error=int(failed["old_error"] or failed["new_error"]))
    return {name: tuple(probes) for name, probes in log.items()}


def _windows(lines: t.Iterable[str]) -> dict[str, tuple[range, ...]]:
    """From lines with a device's name, and the number, start and end of one of its windows; of those that have more than a ROM."""
    found: dict[str, tuple[range, ...]] = {}
    with_registers = set()
    for words in map(str.split, lines):
        if len(words) == 4:
            found[words[0]] = (*found.get(words[0], ()), range(int(words[2], 16), int(words[3], 16) + 1))
            if int(words[1]) < _ROM:
                with_registers.add(words[0])
    return {name: windows for name, windows in found.items() if name in with_registers}


def _event(line: str) -> TraceEvent | None:
    found = _LINE.fullmatch(line)
    if found is None or found["event"] not in EVENTS:
        return None
    values = dict(_VALUE.findall(found["rest"]))
    at = _AT.search(found["rest"])
    return TraceEvent(
        kind=found["event"],
        who=found["who"].strip(),
        process=int(found["pid"]),
        seconds=float(found["time"]),
        device=values.get("dev", "").strip(),
        driver=values.get("drv") or values.get("name", ""),
        line=line.strip(),
        at=int(at[1], 16) if at else 0,
    )


def offers(report: BootTrace, address: str) -> tuple[Offer, ...]:
    """All of a device, in order."""
    return tuple(
        Offer(event.driver, event.who, stage_of(report, event), event.seconds, event.line)
        for event in report.events
        if event.kind == OFFERED and event.device == address
    )


def override_at(report: BootTrace, address: str, seconds: float) -> str | None:
    """The only driver that the kernel could bind to the device then; that of the end where it has not said when it was set."""
    known = [event for event in report.overriding if event.device == address]
    if not known:
        return report.overrides.get(address)
    before = [event.driver for event in known if event.seconds <= seconds]
    return (before[-1].strip() or None) if before else None


def stage_of(report: BootTrace, event: TraceEvent) -> str:
    """The first process is the kernel's own until it becomes init, which loads no driver by itself; the trace has its later name."""
    if event.process == 1:
        return KERNEL
    return ROOT if event.seconds >= report.root_from else INITRAMFS

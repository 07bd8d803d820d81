# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of an emulated function: every access to it, one line each: the proof of who touched the device and when.

A line is ``<seconds> R|W <region> 0x<offset> <length> 0x<value>`` or ``<seconds> <EVENT> <detail>``. Seconds are those of the machine's
monotonic clock, so that the lines of two servers, or of a server started again on the same log, can be compared.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from pathlib import Path

CONFIG = "CFG"
ROM = "ROM"
BARS = tuple(f"BAR{index}" for index in range(6))

# What a line shows of a value: config space is read as a whole, the ROM by the kilobyte, and nobody reads those as one number.
VALUE_BYTES = 8

_BAR_REGISTERS = range(0x10, 0x28, 4)
_ALL_ONES = 0xFFFFFFFF


class AccessLogError(ValueError):
    """A log that is not there or not one: one sentence naming the file and the line."""


@dataclass(frozen=True)
class Access:
    """One read or write. ``value`` holds the first eight bytes, little endian."""

    seconds: float
    direction: str
    region: str
    offset: int
    length: int
    value: int

    @property
    def to_bar(self) -> bool:
        return self.region in BARS

    @property
    def sizes_bars(self) -> bool:
        """All ones into a BAR register: how whoever enumerates the bus, firmware first, asks for a BAR's size."""
        return self.direction == "W" and self.region == CONFIG and self.offset in _BAR_REGISTERS and self.value & _ALL_ONES == _ALL_ONES

    def line(self) -> str:
        return f"{self.seconds:.6f} {self.direction} {self.region} {self.offset:#x} {self.length} {self.value:#x}"


@dataclass(frozen=True)
class FunctionEvent:
    """Something that happened to the function as a whole: CONNECT, DISCONNECT, DEVICE_RESET, FLR, DMA_MAP …"""

    seconds: float
    name: str
    detail: str = ""

    def line(self) -> str:
        return f"{self.seconds:.6f} {self.name} {self.detail}".rstrip()


LogEntry = Access | FunctionEvent


@dataclass(frozen=True)
class AccessLog:
    """Entries in the order in which they happened. ``end`` is the byte after the last whole line: a mark for ``read(path, after=end)``."""

    entries: tuple[LogEntry, ...]
    end: int = 0

    @classmethod
    def read(cls, path: str | Path, after: int = 0) -> AccessLog:
        """Reads a log, also one that is being written: a last line without its end is left for the next time. Raises AccessLogError."""
        try:
            with Path(path).open("rb") as file:
                file.seek(after)
                data = file.read()
        except OSError as error:
            # An absent log must not look like a device that nobody touched.
            raise AccessLogError(f"The access log {path} cannot be read: {error.strerror}.") from error
        whole = data[: data.rfind(b"\n") + 1]
        lines = whole.decode(errors="replace").splitlines()
        return cls(tuple(_parse(path, number, line) for number, line in enumerate(lines, 1)), after + len(whole))

    def accesses(self) -> tuple[Access, ...]:
        return tuple(entry for entry in self.entries if isinstance(entry, Access))

    def events(self, *names: str) -> tuple[FunctionEvent, ...]:
        """The events with one of these names, or all events."""
        return tuple(entry for entry in self.entries if isinstance(entry, FunctionEvent) and (not names or entry.name in names))

    def bar_accesses(self) -> tuple[Access, ...]:
        """Reads and writes of the function's registers and memory, which only drivers make: firmware and bus code stay in config space."""
        return tuple(access for access in self.accesses() if access.to_bar)

    def first_bar_access(self) -> Access | None:
        return next(iter(self.bar_accesses()), None)

    @property
    def touched_by_driver(self) -> bool:
        return bool(self.bar_accesses())

    def since_last_reset(self) -> AccessLog:
        """What came after the last DEVICE_RESET or FLR, or after the last CONNECT where no reset followed it.

        Mind who resets: vfio-pci resets a device when a program opens it, which hides what a native driver did before in the same boot.
        Whether a boot was clean is a question for since_boot.
        """
        return self._after_last(lambda entry: isinstance(entry, FunctionEvent) and entry.name in ("DEVICE_RESET", "FLR", "CONNECT"))

    def since_boot(self) -> AccessLog:
        """What came after the reset with which the machine's present boot began, whatever resets the guest made since then.

        Only that reset is followed by an enumeration of the bus, firmware first, which sizes the BARs before any driver touches one. A
        guest that removes a device it has just reset and scans the bus again looks the same: read with a mark where one does that.
        """
        start = 0
        reset: int | None = None
        for position, entry in enumerate(self.entries, 1):
            if isinstance(entry, FunctionEvent):
                if entry.name in ("DEVICE_RESET", "CONNECT"):
                    reset = position
            elif reset is not None and entry.sizes_bars:
                start, reset = reset, None
            elif entry.to_bar:
                reset = None
        return AccessLog(self.entries[start:], self.end)

    def _after_last(self, ends: t.Callable[[LogEntry], bool]) -> AccessLog:
        positions = [position for position, entry in enumerate(self.entries, 1) if ends(entry)]
        return AccessLog(self.entries[positions[-1] if positions else 0 :], self.end)


def _parse(path: str | Path, number: int, line: str) -> LogEntry:
    try:
        seconds, name, *rest = line.split(" ")
        if name in ("R", "W"):
            region, offset, length, value = rest
            return Access(float(seconds), name, region, int(offset, 16), int(length), int(value, 16))
        return FunctionEvent(float(seconds), name, " ".join(rest))
    except ValueError as error:
        raise AccessLogError(f"Line {number} of the access log {path} is not an access or an event: {line!r}.") from error

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that is still the one we started: a pid alone may belong to somebody else by now."""

from __future__ import annotations

import os
import select
import signal
import typing as t
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Process:
    """`start`: clock ticks between the machine's boot and the process's start; `boot`: the machine's boot_id."""

    pid: int
    start: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> Process:
        state = _read_stat(pid)
        return cls(pid, state[1] if state else -1, _boot_id())

    def alive(self) -> bool:
        """Whether this very process runs (a zombie does not)."""
        state = _read_stat(self.pid)
        return state is not None and state[0] not in "ZX" and state[1] == self.start and _boot_id() == self.boot

    def stop(self, patience: float) -> None:
        """Ask it to end, and end it after `patience` seconds. Nothing happens to a stranger with the same pid."""
        self._signal(signal.SIGTERM)
        if not self.wait(patience):
            self._signal(signal.SIGKILL)
            self.wait(10)

    def wait(self, patience: float) -> bool:
        """Whether it ended within `patience` seconds; its own parent finds it as it was when it ended."""
        # The descriptor pins the process, as below; it can be read from the end on (pidfd_open(2)).
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            return not self.alive() or bool(readable([descriptor], patience))
        finally:
            os.close(descriptor)

    def _signal(self, number: int) -> None:
        # The descriptor pins the process: checked after opening, it cannot become another one before the signal.
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.alive():
                signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            pass
        finally:
            os.close(descriptor)


def readable(descriptors: t.Iterable[int], patience: float | None = None) -> list[int]:
    """Those that can be read, once any can, or none within `patience` seconds; without patience, as long as it takes."""
    waiting = select.poll()
    for descriptor in descriptors:
        waiting.register(descriptor, select.POLLIN)
    return [found for found, _event in waiting.poll(None if patience is None else max(0.0, patience) * 1000)]


def signal_descriptor(*numbers: signal.Signals) -> int:
    """A descriptor that can be read from one of these signals on, which then interrupt nothing that this process does."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writer)
    for number in numbers:
        signal.signal(number, lambda _number, _frame: None)
    return reader


def parse_stat(text: str) -> tuple[str, int]:
    """State and start time out of /proc/<pid>/stat, proc(5); the name in parentheses may hold anything."""
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])


def _read_stat(pid: int) -> tuple[str, int] | None:
    try:
        return parse_stat(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace"))
    except (FileNotFoundError, ProcessLookupError):
        return None


def _boot_id() -> str:
    return _BOOT_ID.read_text(encoding="ascii").strip()

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of this machine by proc_pid_stat(5), and how they are ended."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import typing as t

STATE, PARENT, GROUP, SESSION, STARTED = 0, 1, 2, 3, 19
"""Of the fields of /proc/PID/stat those behind the name."""
LARGEST = 4096
AFTER_SIGTERM, AFTER_SIGKILL = 8.0, 5.0
"""Seconds.  timeout(1), by which programs are run, waits for five of them before it kills one."""
POLL = 0.05


def stat_of(process: int | str) -> tuple[str, ...]:
    """The fields behind the name; none of a process that has ended: a zombie waits for nothing."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
            # The name, in parentheses, may have any character.
            fields = tuple(file.read(LARGEST).rpartition(")")[2].split())
    except OSError:
        return ()
    return fields if len(fields) > STARTED and fields[STATE] != "Z" else ()


def having(field: int, values: t.Container[int]) -> set[int]:
    """The processes of which a field has one of these values."""
    every = ((name, stat_of(name)) for name in os.listdir("/proc") if name.isdigit())
    return {int(name) for name, fields in every if fields and int(fields[field]) in values}


def end(find: t.Callable[[], set[int]]) -> None:
    """Ask what is found to end, kill what has not after some seconds, and wait until nothing is found any more, bounded in time."""
    begun, asked = time.monotonic(), t.cast("set[int]", set())
    while time.monotonic() < begun + AFTER_SIGTERM + AFTER_SIGKILL:
        left = find()
        if not left:
            break
        is_late = time.monotonic() > begun + AFTER_SIGTERM
        for process in left if is_late else left - asked:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL if is_late else signal.SIGTERM)
        asked |= left
        time.sleep(POLL)

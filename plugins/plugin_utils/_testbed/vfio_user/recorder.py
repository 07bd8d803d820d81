# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the access log, and never lets a slow reader hold up the device."""

from __future__ import annotations

import os
import time
from collections import deque

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.access_log import VALUE_BYTES, Access, FunctionEvent, LogEntry

PENDING_MAX = 100_000


class Recorder:
    """Each entry is one write(2), made before the client gets its answer: who knows that an access happened finds it in the log.

    A regular file takes each line at once. A pipe may be full and a disk may be, and then lines wait here; beyond PENDING_MAX the
    oldest are dropped, and a LOST event says how many.
    """

    def __init__(self, path: str) -> None:
        # Opened for reading too: a named pipe without a reader would otherwise refuse to be opened without waiting.
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        self._pending: deque[bytes] = deque()
        self._lost = 0

    @property
    def behind(self) -> bool:
        return bool(self._pending)

    def event(self, name: str, detail: str = "") -> None:
        self._record(FunctionEvent(time.monotonic(), name, " ".join(detail.split())))

    def access(self, direction: str, region: str, offset: int, data: bytes) -> None:
        value = int.from_bytes(data[:VALUE_BYTES], "little")
        self._record(Access(time.monotonic(), direction, region, offset, len(data), value))

    def flush(self) -> None:
        """Writes what waits, as far as the log takes it now."""
        while self._pending:
            line = self._pending[0]
            try:
                written = os.write(self._fd, line)
            except OSError:
                return
            if written < len(line):
                self._pending[0] = line[written:]
                return
            self._pending.popleft()

    def close(self) -> None:
        self.flush()
        os.close(self._fd)

    def _record(self, entry: LogEntry) -> None:
        if len(self._pending) >= PENDING_MAX:
            # The first of the waiting lines may be half written.
            del self._pending[1]
            self._lost += 1
        self._pending.append(f"{entry.line()}\n".encode())
        self.flush()
        if self._lost and not self._pending:
            lost, self._lost = self._lost, 0
            self.event("LOST", str(lost))

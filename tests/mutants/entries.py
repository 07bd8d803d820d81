# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which functions a piece of code enters."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType


class Entries:
    """``now`` collects the functions that are entered while they are watched; ``restart`` begins with an empty set."""

    def __init__(self) -> None:
        self.now: set[CodeType] = set()

    def restart(self, into: set[CodeType]) -> None:
        self.now = into
        if sys.version_info >= (3, 12):
            sys.monitoring.restart_events()

    @contextmanager
    def watched(self) -> Iterator[None]:
        if sys.version_info >= (3, 12):
            # A function that was seen once since the last restart costs nothing any more.
            tool, start = sys.monitoring.PROFILER_ID, sys.monitoring.events.PY_START
            sys.monitoring.use_tool_id(tool, "mutants")
            sys.monitoring.register_callback(tool, start, self._started)
            sys.monitoring.set_events(tool, start)
        else:
            sys.setprofile(self._called)
        try:
            yield
        finally:
            if sys.version_info >= (3, 12):
                sys.monitoring.set_events(sys.monitoring.PROFILER_ID, 0)
                sys.monitoring.free_tool_id(sys.monitoring.PROFILER_ID)
            else:
                sys.setprofile(None)

    if sys.version_info >= (3, 12):

        def _started(self, code: CodeType, _offset: int) -> object:
            self.now.add(code)
            return sys.monitoring.DISABLE

    def _called(self, frame: FrameType, event: str, _value: object) -> None:
        if event == "call":
            self.now.add(frame.f_code)

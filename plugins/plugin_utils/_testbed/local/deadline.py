# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time limits that hold on a busy machine too: an emulated guest shares its processors with everything else that runs."""

from __future__ import annotations

import os
import time

_STRETCH_LIMIT = 6.0


class Deadline:
    """Passes after `limit` seconds of an idle machine; while the machine is overloaded its seconds count less."""

    def __init__(self, limit: float) -> None:
        self._left = limit
        self._began = self._seen = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def passed(self) -> bool:
        """To be asked every few seconds at least."""
        now = time.monotonic()
        self._left -= (now - self._seen) / stretch(os.getloadavg()[0], os.cpu_count() or 1)
        self._seen = now
        return self._left < 0


def stretch(load: float, processors: int) -> float:
    """By how much work takes longer when `load` tasks want `processors` processors; bounded, so that a hang is found."""
    return min(max(load / processors, 1.0), _STRETCH_LIMIT)

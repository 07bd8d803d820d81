# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long work speaks to the person who waits for it."""

from __future__ import annotations

import time
import typing as t

Say = t.Callable[[str], None]


class Progress:
    """Says each step of one piece of work, with the seconds that passed since its start."""

    def __init__(self, subject: str, say: Say) -> None:
        self._subject = subject
        self.say = say
        self._start = time.monotonic()
        self._step = ""

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    def __call__(self, step: str) -> None:
        self._step = step
        self.say(f"[testbed] {self._subject}: {step} ({self.seconds:.0f} s)")

    def still(self) -> None:
        """Say that the step goes on."""
        self.say(f"[testbed] {self._subject}: still {self._step} ({self.seconds:.0f} s)")


def silent(line: str) -> None:
    """Say nothing."""

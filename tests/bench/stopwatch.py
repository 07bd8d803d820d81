# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long work takes: by the clock, and of the processors."""

from __future__ import annotations

import resource
import statistics
import time
import typing as t
from collections.abc import Callable, Sequence


class Took(t.NamedTuple):
    """Seconds.  ``processor`` is what this process and the programs that it ran to their end were given, whoever else ran."""

    wall: float
    processor: float


def timed(work: Callable[[], object]) -> Took:
    wall, processor = time.perf_counter(), _processor()
    work()
    return Took(time.perf_counter() - wall, _processor() - processor)


def median(rounds: Sequence[Sequence[float]]) -> Took:
    """Of each time by itself, in milliseconds."""
    return Took(*(statistics.median(times) * 1000 for times in zip(*rounds, strict=True)))


def _processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the core may take: all limits of `make bench`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

COLD, WARM = "nothing cached", "everything cached"
#: Milliseconds of processor time, by what is measured.  The first time each change that would help is tried on the whole host.
LIMITS = {COLD: 3000.0, WARM: 150.0}


@dataclass(frozen=True)
class Figure:
    """One measurement.  ``limit`` names the limit that holds for it; times are milliseconds, of processors and by the clock."""

    name: str
    limit: str
    processor: float
    wall: float

    def __str__(self) -> str:
        limit = f"limit {LIMITS[self.limit]:.0f}"
        return f"{self.name}, {self.limit}: {self.processor:.0f} ms of processor time ({limit}), {self.wall:.0f} by clock"


def missed(figures: Collection[Figure]) -> Iterator[str]:
    """Each limit that was not kept, and each for which nothing was measured."""
    for figure in figures:
        if figure.processor > LIMITS[figure.limit]:
            yield (
                f"{figure.name}, {figure.limit}: {figure.processor:.0f} ms of processor time are more than the limit of "
                f"{LIMITS[figure.limit]:.0f} ms"
            )
    for name in LIMITS.keys() - {figure.limit for figure in figures}:
        yield f"nothing was measured that the limit for {name} ({LIMITS[name]:.0f} ms) is about"

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether rounds of the same work lose memory: what the kernel has in use before, between and after them.

One object or page that each round loses makes a counter grow by the number of rounds.  What else changes the counts:

* `active_objs` of /proc/slabinfo are all objects but the free ones of slabs in a node's list (mm/slub.c: get_slabinfo(),
  count_partial()).  What a CPU has at hand counts as used although it may be free: its own slab, its list of partial slabs,
  and since Linux 6.19 its sheaves.  With E objects at hand at most, a count is too high by 0 to E; the difference of two
  counts is wrong by no more than E.  So N rounds without a loss show a growth of at most E, and with one object lost in each
  round at least N - E: both are told apart if N is greater than 2E, best at N/2, where the margin is N/2 - E to either side.
* A cache that is debugged has nothing at hand for a CPU (kmem_cache_debug(); cpu_partial and sheaf_capacity are 0): its count
  is exact, E is 0.  The guest starts with slab_debug=F, so this holds for every cache, and the client names those for which
  it does not.  Without it E is 64 to 320 for kmalloc-64 and 512 to 1024 for kmalloc-8, and thousands of rounds were needed.
* Objects that wait for RCU, or for work that was put off: they add to a count and take nothing away, so the client takes the
  least of some readings, after grace periods.
* Pages are what no counter accounts for.  Each CPU's share of the counters is added first (vmstat_refresh()), pages at a
  CPU's hand count as free, and caches' pages are left out, as their objects are counted.  A page that changes sides while the
  counters are read is counted twice or not at all, so the client reads until two readings in a row agree.

What remains are the guest's other tasks.  They hold some objects more or less, whatever the number of rounds: the margin
N/2 is for them, and `run --leaks` shows how much of it they take.
"""

from __future__ import annotations

import itertools
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

FEWEST_SAMPLES = 2


@dataclass
class Series:
    """``title``: what was done in each round.  ``kept``: by cache, how many free objects CPUs may have at hand."""

    title: str
    kept: dict[str, int] = field(default_factory=dict)
    samples: list[tuple[int, Mapping[str, int]]] = field(default_factory=list)

    def take(self, line: str) -> bool:
        """Whether the line is one of the series."""
        kind, _blank, rest = line.partition(" ")
        words = rest.split()
        if kind == "kept":
            self.kept[words[0]] = int(words[1])
        elif kind == "sample":
            counts = (word.rpartition("=") for word in words[1:])
            self.samples.append((int(words[0]), {name: int(count) for name, _equals, count in counts}))
        return kind in ("kept", "sample")

    @property
    def rounds(self) -> int:
        return self.samples[-1][0] - self.samples[0][0] if self.samples else 0

    @property
    def growth(self) -> dict[str, int]:
        """By counter, over all rounds."""
        return {name: sum(parts) for name, parts in self._parts()}

    @property
    def largest(self) -> tuple[str, int]:
        """The counter that changed most, and by how much."""
        return max(self.growth.items(), key=lambda grown: abs(grown[1]), default=("", 0))

    @property
    def sentence(self) -> str:
        return f"{self.title} {self.rounds} times and no object and no page is lost"

    @property
    def remark(self) -> str:
        """How far from a loss it was."""
        name, change = self.largest
        return f"{len(self.growth)} counters, the largest change is {change:+d} ({name}); one a round would be {self.rounds:+d}"

    def problems(self) -> list[str]:
        """What was lost, and why that cannot be determined."""
        if len(self.samples) < FEWEST_SAMPLES or self.rounds <= 0:
            return [f"{self.title}: {len(self.samples)} samples of {self.rounds} rounds say nothing"]
        uncertain = [(name, kept) for name, kept in sorted(self.kept.items()) if self.rounds <= 2 * kept]
        found = [
            f"{self.title}: of {name} CPUs may have {kept} objects at hand, so that a loss shows in more than {2 * kept} rounds and not in "
            f"{self.rounds}"
            for name, kept in uncertain[:1]
        ]
        return found + [
            f"{self.title} {self.rounds} times and {sum(parts)} of {name} are lost ({', '.join(f'{part:+d}' for part in parts)})"
            for name, parts in self._parts()
            if 2 * sum(parts) >= self.rounds
        ]

    def _parts(self) -> t.Iterator[tuple[str, list[int]]]:
        """By counter how much it grew between the samples.  A cache that is not named has no objects yet, or none any more."""
        counts: Sequence[Mapping[str, int]] = [sample for _rounds, sample in self.samples]
        for name in sorted({name for sample in counts for name in sample}):
            values = [sample.get(name, 0) for sample in counts]
            yield name, [after - before for before, after in itertools.pairwise(values)]

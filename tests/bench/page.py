# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page on performance and its picture, made of the rows that one run of `make bench` measured and of nothing else."""

from __future__ import annotations

import os
import platform
import time
import typing as t
from pathlib import Path
from xml.sax.saxutils import escape

from ansible_collections.vfio.variants.tests.bench import limits, ratios

if t.TYPE_CHECKING:
    from collections.abc import Sequence

PAGE, PICTURE = "docs/performance.md", "docs/images/performance.svg"
HEAD = """<!--
SPDX-FileCopyrightText: The vfio.variants authors
SPDX-License-Identifier: GPL-3.0-or-later
-->
# Performance

Written by `make bench`; do not edit. Every figure is one that this run has measured: {machine}, load {load} at its end, Python {python},
{day}, at commit `{commit}`. Processor time counts, because other work on the machine changes it little; the time by the clock is
beside it. A ratio is the median of those of pairs that ran one after the other.

![What was measured, as a share of what is allowed](images/performance.svg)

"""
FLEET_BEGIN, FLEET_END = "<!-- figures: written by tests/bench/fleet -->", "<!-- end of figures -->"
"""In the guide to fleets."""
WIDTH, ROW, LEFT, BAR = 1000, 44, 20, 600.0
STYLE = (
    "text{font:14px sans-serif;fill:#1d2430}.bar{fill:#2f6fb5}.missed{fill:#b3261e}.limit{stroke:#1d2430;stroke-dasharray:4 3}"
    "@media(prefers-color-scheme:dark){text{fill:#e3e7ee}.bar{fill:#7fb2ea}.missed{fill:#f2938c}.limit{stroke:#e3e7ee}}"
)


class Row(t.NamedTuple):
    """What was measured, how, its figure and that by the clock, and what is allowed: at most, or where `least`, at least."""

    what: str
    how: str
    figure: float
    clock: float | None
    bound: float
    word: str
    """limit, aim or least."""

    @property
    def share(self) -> float:
        """Of what is allowed: above 1 it is not kept."""
        return self.bound / self.figure if self.word == "least" else self.figure / self.bound


class Pair(t.NamedTuple):
    """Our way and another one to the same facts, in milliseconds of processor time."""

    ours: str
    took: float
    other: str
    took_other: float


class Run(t.NamedTuple):
    """A run on so many hosts: seconds of processors and by the clock, and the most memory that a process of Ansible's had, in MiB."""

    hosts: int
    processor: float
    wall: float
    memory: float

    @property
    def each(self) -> float:
        """Milliseconds of processors for a host."""
        return self.processor * 1000 / self.hosts


def rows(figures: Sequence[limits.Figure], measured: Sequence[ratios.Ratio]) -> list[Row]:
    found = [Row(one.name, f"{one.limit}, ms", one.processor, one.wall, limits.LIMITS[one.limit], "limit") for one in figures]
    return [*found, *(Row(one.name, one.how, one.processor, one.wall, *ratios.bound(one.name)) for one in measured)]


def text(found: Sequence[Row], pairs: Sequence[Pair], commit: str) -> str:
    head = HEAD.format(
        machine=machine(),
        load=f"{os.getloadavg()[0]:.1f}",
        python=platform.python_version(),
        day=time.strftime("%Y-%m-%d", time.gmtime()),
        commit=commit,
    )
    return head + "\n".join([*table(found), "", "## Beside other programs", *beside(pairs)]) + "\n"


def table(found: Sequence[Row]) -> list[str]:
    lines = ["| what | how | measured | by the clock | allowed |", "|---|---|---:|---:|---|"]
    for one in found:
        clock = "" if one.clock is None else number(one.clock)
        bound = f"{'at least' if one.word == 'least' else 'at most'} {number(one.bound)}{' (aim)' if one.word == 'aim' else ''}"
        lines.append(f"| {one.what} | {one.how} | {number(one.figure)} | {clock} | {bound} |")
    return lines


def beside(pairs: Sequence[Pair]) -> list[str]:
    head = ["", "| ours | ms | theirs | ms | ratio |", "|---|---:|---|---:|---:|"]
    return [
        *head,
        *(f"| {one.ours} | {one.took:.1f} | {one.other} | {one.took_other:.1f} | {one.took / one.took_other:.2f} |" for one in pairs),
    ]


def fleet(runs: Sequence[Run]) -> list[str]:
    """The role on more and more hosts on which nothing has changed."""
    head = [
        "",
        "## More and more hosts with nothing to do",
        "",
        "| hosts | s | s by the clock | ms for each | MiB |",
        "|---:|---:|---:|---:|---:|",
    ]
    return [*head, *(f"| {one.hosts:,} | {one.processor:.1f} | {one.wall:.1f} | {one.each:.0f} | {one.memory:.0f} |" for one in runs)]


def picture(found: Sequence[Row]) -> str:
    """Bars from the left; the line is what is allowed, so that a bar which passes it is a miss."""
    most = max([1.25, *(min(one.share, 2.0) for one in found)])
    scale, height = BAR / most, ROW * len(found) + 30
    licence = "<!--\nSPDX-FileCopyrightText: The vfio.variants authors\nSPDX-License-Identifier: GPL-3.0-or-later\n-->"
    parts = [licence, f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">']
    parts += ["<title>What was measured, as a share of what is allowed</title>", f"<style>{STYLE}</style>"]
    for index, one in enumerate(found):
        top, width = index * ROW, scale * min(one.share, 2.0)
        kind = "missed" if one.share > 1 and one.word != "aim" else "bar"
        parts.append(f'<text x="{LEFT}" y="{top + 16}">{escape(one.what)}, {escape(one.how)}</text>')
        parts.append(f'<rect class="{kind}" x="{LEFT}" y="{top + 22}" width="{width:.1f}" height="12"/>')
        shown = f"{number(one.figure)}, {'at least' if one.word == 'least' else one.word} {number(one.bound)}"
        parts.append(f'<text x="{LEFT + width + 8:.1f}" y="{top + 33}">{escape(shown)}</text>')
    limit = LEFT + scale
    parts.append(f'<line class="limit" x1="{limit:.1f}" y1="0" x2="{limit:.1f}" y2="{height - 24}"/>')
    parts.append(f'<text x="{limit:.1f}" y="{height - 8}" text-anchor="middle">allowed</text></svg>')
    return "\n".join(parts) + "\n"


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def machine() -> str:
    names = [
        line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if line.startswith("model name")
    ]
    return f"{len(names) or os.cpu_count()} processors ({names[0] if names else platform.machine()})"


def write(root: Path, found: Sequence[Row], pairs: Sequence[Pair], commit: str) -> None:
    (root / PICTURE).write_text(picture(found), encoding="utf-8")
    (root / PAGE).write_text(text(found, pairs, commit), encoding="utf-8")

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest reported: the checks of each scene, and the kernel's log."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.vfio.variants.tests.drivers.leak_series import Series

_PLAN = re.compile(r"1\.\.(\d+)")
#: What the kernel says when something in it is broken. Not what it says of a device, of which scenes are full.
_ALARM = re.compile(
    r"WARNING:|BUG\b|Oops|Call Trace|general protection|kernel panic|[Uu]nable to handle|KFENCE|UBSAN|refcount_t|corruption"
    r"|sleeping function|scheduling while atomic|possible (?:recursive|circular)|lockdep|soft lockup|rcu.*stall|blocked for more than"
    r"|bad page|DMAR:.*fault|Trying to free|memtype"
)


@dataclass
class Scene:
    """``planned``: how many checks it said it would make, None where it said nothing."""

    name: str
    planned: int | None = None
    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)

    @property
    def problem(self) -> str:
        made = len(self.passed) + len(self.failed)
        if self.planned is None:
            return f"{self.name}: it has no plan"
        return "" if made == self.planned else f"{self.name}: {made} checks were made, and {self.planned} planned"


@dataclass(frozen=True)
class Report:
    scenes: tuple[Scene, ...]
    log: tuple[str, ...]
    complete: bool

    @property
    def passed(self) -> int:
        return sum(len(scene.passed) for scene in self.scenes)

    def failures(self, expected: t.Sequence[str]) -> list[str]:
        """What did not hold; also that a scene of those expected, a check or the end is missing, and what the kernel warned of."""
        found = [f"{scene.name}: {check}" for scene in self.scenes for check in scene.failed]
        found += [scene.problem for scene in self.scenes if scene.problem]
        if [scene.name for scene in self.scenes] != list(expected):
            found.append(f"the scenes were {[scene.name for scene in self.scenes]}, and not {list(expected)}")
        if not self.complete:
            found.append("the guest did not come to its end")
        return found + [f"kernel log: {line}" for line in self.log if _ALARM.search(line)]


def parse(text: str) -> Report:
    scenes: list[Scene] = []
    log: list[str] = []
    part = ""
    for line in text.splitlines():
        if line.startswith("@"):
            part, _blank, rest = line[1:].partition(" ")
            if part == "scene":
                scenes.append(Scene(rest.partition(" ")[0]))
        elif part == "log":
            log.append(line)
        elif part == "scene":
            _take(scenes[-1], line)
    return Report(tuple(scenes), tuple(log), part == "end")


def _take(scene: Scene, line: str) -> None:
    scene.text.append(line)
    plan = _PLAN.fullmatch(line)
    if plan:
        scene.planned = int(plan[1])
    elif line.startswith("series "):
        scene.series.append(Series(line.removeprefix("series ")))
    elif line == "end of series" and scene.series:
        series = scene.series[-1]
        lost = series.problems()
        (scene.failed if lost else scene.passed).append("; ".join(lost) or series.sentence)
    elif scene.series and scene.series[-1].take(line):
        return
    elif line.startswith("ok - "):
        scene.passed.append(line.removeprefix("ok - "))
    elif line.startswith("not ok"):
        scene.failed.append(line.removeprefix("not ok").removeprefix(" - "))

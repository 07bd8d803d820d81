# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest reported: the checks of each case, and the kernel's log."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.vfio.variants.tests.drivers.leak_series import Series

_PLAN = re.compile(r"1\.\.(\d+)")
#: What the kernel says when something in it is broken. Not what it says of a device: many cases make it say that.
_ALARM = re.compile(
    r"WARNING:|BUG\b|Oops|Call Trace|general protection|kernel panic|[Uu]nable to handle|KFENCE|UBSAN|refcount_t|corruption"
    r"|sleeping function|scheduling while atomic|possible (?:recursive|circular)|lockdep|soft lockup|rcu.*stall|blocked for more than"
    r"|bad page|DMAR:.*fault|Trying to free|memtype"
)


@dataclass
class Case:
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
    cases: tuple[Case, ...]
    log: tuple[str, ...]
    complete: bool

    @property
    def passed(self) -> int:
        return sum(len(case.passed) for case in self.cases)

    def failures(self, expected: t.Sequence[str]) -> list[str]:
        """What did not hold; also that a case of those expected, a check or the end is missing, and what the kernel warned of."""
        found = [f"{case.name}: {check}" for case in self.cases for check in case.failed]
        found += [case.problem for case in self.cases if case.problem]
        if [case.name for case in self.cases] != list(expected):
            found.append(f"the cases were {[case.name for case in self.cases]}, and not {list(expected)}")
        if not self.complete:
            found.append("the guest did not come to its end")
        return found + [f"kernel log: {line}" for line in self.log if _ALARM.search(line)]


def parse(text: str) -> Report:
    cases: list[Case] = []
    log: list[str] = []
    part = ""
    for line in text.splitlines():
        if line.startswith("@"):
            part, _blank, rest = line[1:].partition(" ")
            if part == "case":
                cases.append(Case(rest.partition(" ")[0]))
        elif part == "log":
            log.append(line)
        elif part == "case":
            _take(cases[-1], line)
    return Report(tuple(cases), tuple(log), part == "end")


def _take(case: Case, line: str) -> None:
    case.text.append(line)
    plan = _PLAN.fullmatch(line)
    if plan:
        case.planned = int(plan[1])
    elif line.startswith("series "):
        case.series.append(Series(line.removeprefix("series ")))
    elif line == "end of series" and case.series:
        series = case.series[-1]
        lost = series.problems()
        (case.failed if lost else case.passed).append("; ".join(lost) or series.sentence)
    elif case.series and case.series[-1].take(line):
        return
    elif line.startswith("ok - "):
        case.passed.append(line.removeprefix("ok - "))
    elif line.startswith("not ok"):
        case.failed.append(line.removeprefix("not ok").removeprefix(" - "))

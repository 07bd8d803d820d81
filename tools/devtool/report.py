# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs phases and reports them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import (
    EXIT_STATUS,
    MARK,
    ArchiveUnavailableError,
    named_in,
)
from devtool.check import SHORT, Result, run
from devtool.console import duration, say, table
from devtool.errors import DevtoolError
from devtool.lanes import run_in_lanes, side_by_side
from devtool.phases import Phase
from devtool.workspace import Workspace


@dataclass(frozen=True)
class Outcome:
    """What came of a phase; no results at all if it was not run."""

    phase: str
    results: tuple[Result, ...] = ()
    seconds: float = 0.0

    @property
    def passed(self) -> int:
        return sum(result.passed for result in self.results)

    @property
    def failed(self) -> int:
        return sum(result.failed for result in self.results)

    @property
    def short(self) -> bool:
        """Whether an archive left too little to test, and nothing failed in what was tested."""
        return not self.failed and any(result.short for result in self.results)

    @property
    def status(self) -> str:
        return "not run" if not self.results else "FAILED" if self.failed else "unavailable" if self.short else "ok"


def run_phase(phase: Phase, workspace: Workspace, show: Callable[[str], None] = say) -> Outcome:
    """Run all checks of a phase, whether or not one of them fails."""
    show(f"\n== {phase.name}: {phase.does}")
    start = time.monotonic()
    results: list[Result] = []
    try:
        results.extend(run_in_lanes(phase.checks(workspace)) if phase.lanes else (run(check, show) for check in phase.checks(workspace)))
    except ArchiveUnavailableError as problem:
        names = named_in(problem.lines())
        for line in problem.lines():
            show(line)
        results.append(Result(phase.name, 0, 0, why=SHORT, unavailable=names, short=True))
    except DevtoolError as problem:
        show(str(problem))
        results.append(Result(phase.name, 0, 1, why=str(problem).splitlines()[0]))
    if not results:
        results.append(Result(phase.name, 0, 1, why="there is nothing to check"))
    outcome = Outcome(phase.name, tuple(results), time.monotonic() - start)
    show(f"== {phase.name}: {outcome.status}, {outcome.passed} passed, {outcome.failed} failed ({duration(outcome.seconds)})")
    return outcome


def run_phases(phases: Sequence[Phase], workspace: Workspace, *, keep_going: bool) -> list[Outcome]:
    """Run phases. Minutes of virtual machines are not spent on what a linter has already refused."""
    outcomes: list[Outcome] = []
    for group in grouped(phases):
        if group[0].costly and not keep_going and any(outcome.failed for outcome in outcomes):
            outcomes.extend(Outcome(phase.name) for phase in group)
        else:
            outcomes.extend(_run_group(group, workspace))
    return outcomes


def grouped(phases: Sequence[Phase]) -> Iterator[list[Phase]]:
    """The phases in order, those together that wait for nothing."""
    for costly, group in groupby(phases, key=lambda phase: phase.costly):
        if costly:
            yield from ([phase] for phase in group)
        else:
            yield list(group)


def _run_group(group: Sequence[Phase], workspace: Workspace) -> list[Outcome]:
    """The outcomes in the order of the phases.

    What the first lane prints is shown at once, what that beside it prints when both have ended, so that nothing is mixed.
    """
    first, second = ([phase for phase in group if phase.beside is beside] for beside in (False, True))
    lines: list[str] = []
    if first and second:
        say(f"\nat the same time as what follows: {', '.join(phase.name for phase in second)}; what it prints comes last")
    works = [
        partial(_run_lane, first, workspace, say),
        partial(_run_lane, second, workspace, lines.append if first else say),
    ]
    outcomes = {outcome.phase: outcome for lane in side_by_side(works) for outcome in lane}
    if lines:
        say("\n".join(lines))
    return [outcomes[phase.name] for phase in group]


def _run_lane(phases: Sequence[Phase], workspace: Workspace, show: Callable[[str], None]) -> list[Outcome]:
    return [run_phase(phase, workspace, show) for phase in phases]


def summary(outcomes: Sequence[Outcome]) -> list[str]:
    """A table of the phases, what failed in them, and the closing line."""
    head = ("phase", "result", "passed", "failed", "time")
    rows = [(outcome.phase, outcome.status, str(outcome.passed), str(outcome.failed), duration(outcome.seconds)) for outcome in outcomes]
    failures = [
        f"FAILED {outcome.phase}: {result.name}{': ' + result.why if result.why else ''}"
        for outcome in outcomes
        for result in outcome.results
        if result.failed
    ]
    passed = sum(outcome.passed for outcome in outcomes)
    failed = sum(outcome.failed for outcome in outcomes)
    return ["", *table(head, rows), "", *failures, *_unavailable(outcomes), f"{passed} passed, {failed} failed"]


def _unavailable(outcomes: Sequence[Outcome]) -> list[str]:
    """What archives did not deliver, each once; and then what could not be tested for that reason."""
    results = [(outcome.phase, result) for outcome in outcomes for result in outcome.results]
    names = dict.fromkeys(name for _phase, result in results for name in result.unavailable)
    return [
        *(f"{MARK}{name}" for name in names),
        *(f"NOT TESTED {phase}: {result.name}: {result.why}" for phase, result in results if result.short and not result.failed),
    ]


def exit_status(outcomes: Sequence[Outcome]) -> int:
    if any(outcome.failed for outcome in outcomes):
        return 1
    return EXIT_STATUS if any(outcome.short for outcome in outcomes) else 0

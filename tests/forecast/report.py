# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a disagreement looks like to the one who has to find its cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from comparison_result import DeviceResult, Status, shown
from configuration import Configuration
from table import Result, counts

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Winner

MOST_UNKNOWN = 0.05
"""Of all devices judged."""


def as_files(configuration: Configuration) -> Iterator[str]:
    """A configuration as what would have to be put where."""
    yield f"kernel {configuration.series}, initramfs {configuration.flow} ({configuration.compression})"
    yield f"command line: {' '.join(configuration.cmdline) or '(nothing)'}"
    yield f"modules in the image: {' '.join(configuration.image_modules) or '(none)'}"
    if configuration.missing_modules:
        yield f"modules that the root lacks: {' '.join(configuration.missing_modules)}"
    if configuration.virtual_functions:
        yield f"virtual functions: {configuration.virtual_functions}"
    for place, files in (("root", configuration.root_files), ("image", configuration.image_files)):
        for path, text in files.items():
            yield f"--- {place}: {path}"
            yield from (f"    {line}" for line in text.splitlines())


def disagreement(result: Result) -> Iterator[str]:
    """Both answers for each device that the forecast was wrong about, and the configuration."""
    yield f"WRONG: {result.case.configuration.name}"
    yield from as_files(result.case.configuration)
    for one in result.judged:
        if one.status is Status.WRONG:
            yield from _answers(one)


def _answers(one: DeviceResult) -> Iterator[str]:
    yield f"=== {one.address}: {one.why}"
    for variation, driver in one.observed.items():
        yield f"    boot{f' ({variation})' if variation else ''}: {shown(driver)}"
    if one.winner is not None:
        said = one.winner
        yield f"    forecast: {shown(said.driver)}, {said.certainty}, stage {said.stage}; possible: {', '.join(map(shown, said.outcomes))}"
        yield from (f"        {because}" for because in said.because)


def summary(results: Sequence[Result]) -> Iterator[str]:
    configurations, judged, right, race_shown, race_open, unknown, wrong = counts(results)
    yield (
        f"{configurations} configurations, {judged} devices judged: {right} right, {race_shown} races shown, "
        f"{race_open} races of which one side was seen, {unknown} unknown, {wrong} wrong"
    )
    reasons = Counter(
        str(because.fact) for result in results for one in result.judged if one.status is Status.UNKNOWN and one.winner
        for because in one.winner.because if because.source == "not known"
    )  # fmt: skip
    yield from (f"    unknown, {count} times: {reason}" for reason, count in reasons.most_common(12))


def answers(results: Sequence[Result]) -> str:
    """What the forecast says of each device of each configuration, a line each: to be compared with what it said before a change."""
    return "".join(
        f"{result.case.configuration.name}\t{one.address}\t{_answer(one.winner)}\n"
        for result in sorted(results, key=lambda result: result.case.configuration.name)
        for one in result.judged
    )


def _answer(winner: Winner | None) -> str:
    if winner is None:
        return "nothing"
    return f"{shown(winner.driver)}\t{winner.certainty}\t{winner.stage}\t{' or '.join(sorted(map(shown, winner.outcomes)))}"


def end(results: Sequence[Result], missing: int, say: Callable[[str], None]) -> int:
    """The run's last lines and its status; ``missing`` are configurations that were to be compared and have no result."""
    for line in summary(results):
        say(line)
    failed = list(failures(results, missing))
    for line in failed:
        say(f"FAILED: {line}")
    passed = sum(not result.is_wrong for result in results)
    say(f"{passed} passed, {len(results) - passed + missing or len(failed)} failed")
    return 1 if failed else 0


def failures(results: Sequence[Result], missing: int = 0) -> Iterator[str]:
    """Why this run is not a success."""
    _configurations, judged, _right, _shown, _open, unknown, wrong = counts(results)
    if not judged:
        yield "nothing was compared"
    if missing:
        yield f"{missing} configurations did not boot to their end"
    if wrong:
        yield f"{wrong} answers were wrong"
    if judged and unknown > MOST_UNKNOWN * judged:
        yield f"{unknown} of {judged} answers were unknown, more than {MOST_UNKNOWN:.0%}"

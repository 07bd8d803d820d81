# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs checks in lanes: those of a lane one after the other, the lanes side by side."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event, Lock

from devtool.check import Check, Result, run
from devtool.console import say
from devtool.process import end_running

T = t.TypeVar("T")


def side_by_side(works: Sequence[Callable[[], T]], ended: Event | None = None) -> list[T]:
    """What each of these returns, in their order.  An interruption sets `ended` and ends the programs that they run."""
    with ThreadPoolExecutor(max(1, len(works))) as pool:
        try:
            return [running.result() for running in [pool.submit(work) for work in works]]
        except BaseException:
            if ended is not None:
                ended.set()
            end_running()
            raise


def run_in_lanes(checks: Iterable[Check]) -> list[Result]:
    """The results in the order of the checks.  What a check prints is shown when it ends, so that nothing is mixed."""
    lanes: dict[str, list[Check]] = {}
    for check in checks:
        lanes.setdefault(check.lane, []).append(check)
    ended, screen = Event(), Lock()

    def work(lane: Sequence[Check]) -> list[Result]:
        results: list[Result] = []
        for check in lane:
            if ended.is_set():
                break
            lines: list[str] = []
            try:
                results.append(run(check, lines.append))
            finally:
                with screen:
                    say("\n".join(lines))
        return results

    found = side_by_side([partial(work, lane) for lane in lanes.values()], ended)
    return [result for lane in found for result in lane]

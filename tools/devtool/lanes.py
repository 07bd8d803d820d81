# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs checks in lanes: those of a lane one after the other, the lanes side by side."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event

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
    """The results in the order of the lanes.  The first lane prints at once, the others when all have ended, so that nothing is mixed."""
    lanes: dict[str, list[Check]] = {}
    for check in checks:
        lanes.setdefault(check.lane, []).append(check)
    ended = Event()

    def work(lane: Sequence[Check], show: Callable[[str], None]) -> list[Result]:
        results: list[Result] = []
        for check in lane:
            if ended.is_set():
                break
            results.append(run(check, show))
        return results

    first, *others = lanes.values() or [[]]
    said: list[list[str]] = [[] for _other in others]
    works = [partial(work, first, say), *(partial(work, lane, lines.append) for lane, lines in zip(others, said, strict=True))]
    try:
        return [result for results in side_by_side(works, ended) for result in results]
    finally:
        for lines in said:
            say("\n".join(lines))

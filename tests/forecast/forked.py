# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that forked processes share out among them."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import signal
import sys
import typing as t
from collections.abc import Callable, Generator, Iterable, Sequence

T = t.TypeVar("T")
R = t.TypeVar("R")


def in_processes(work: Callable[[T], R], groups: Iterable[Sequence[T]], processes: int) -> Generator[list[R], None, None]:
    """What comes of each group, in order: ``work`` done with each item, a group in one process.

    A process has ``work``, and all that it works with, from the start, so that only items and results go to and fro.
    Where this process leaves by an exception, ``work`` does so in each child, which ends what it has started, such as a machine.
    """
    children, others = multiprocessing.get_context("fork"), set(multiprocessing.active_children())
    with concurrent.futures.ProcessPoolExecutor(processes, children, _InChild.take, (work,)) as pool:
        try:
            yield from pool.map(_InChild.done, groups)
        except BaseException:
            for child in set(multiprocessing.active_children()) - others:
                child.terminate()
            raise


def alike(items: Iterable[T], likeness: Callable[[T], t.Hashable]) -> list[list[T]]:
    """The items in groups of those that are alike, which have work in common; the largest group first."""
    groups: dict[t.Hashable, list[T]] = {}
    for item in items:
        groups.setdefault(likeness(item), []).append(item)
    return sorted(groups.values(), key=len, reverse=True)


class _InChild:
    """What a process works with."""

    _work: t.ClassVar[Callable[[t.Any], t.Any]]
    _is_ended: t.ClassVar[bool] = False

    @classmethod
    def take(cls, work: Callable[[t.Any], t.Any]) -> None:
        cls._work = staticmethod(work)
        signal.signal(signal.SIGTERM, cls._end)

    @classmethod
    def _end(cls, number: int, _frame: t.Any) -> None:
        cls._is_ended = True
        sys.exit(128 + number)

    @classmethod
    def done(cls, items: Sequence[t.Any]) -> list[t.Any]:
        if cls._is_ended:
            # It was in the queue already.
            sys.exit(1)
        return [cls._work(item) for item in items]

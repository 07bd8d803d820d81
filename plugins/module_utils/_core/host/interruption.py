# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals that end a run: as exceptions, so that what was begun is undone, and kept back while it is."""

from __future__ import annotations

import contextlib
import signal
import threading
import typing as t

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
"""From `kill` or systemd, from a connection that is closed, and from the keyboard."""


class Interrupted(BaseException):
    """A signal has ended the run.  Not an Exception: nothing but a clean end may catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.name = signal.Signals(number).name


_come: list[int] = []
"""The signals that have raised Interrupted."""


@contextlib.contextmanager
def noticed() -> t.Iterator[None]:
    """At its end what Python has dropped is raised again: what is raised while it starts a process, after which the run would go on."""
    before = len(_come)
    yield
    if len(_come) > before:
        raise Interrupted(_come[-1])


@contextlib.contextmanager
def interruptible() -> t.Iterator[None]:
    """Inside the `with` statement a signal that ends the process raises Interrupted.  Signals that are ignored stay ignored."""

    def interrupt(number: int, _frame: object) -> None:
        _come.append(number)
        raise Interrupted(number)

    with _handled_by(interrupt):
        yield


@contextlib.contextmanager
def uninterrupted() -> t.Iterator[None]:
    """Inside the `with` statement these signals wait.

    They are not blocked: a program that is run inherits what is blocked, and could not be ended at its time limit.
    """
    waiting: list[int] = []
    try:
        with _handled_by(lambda number, _frame: waiting.append(number)):
            yield
    finally:
        for number in dict.fromkeys(waiting):
            signal.raise_signal(number)


@contextlib.contextmanager
def _handled_by(handler: t.Callable[[int, object], None]) -> t.Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread handles signals.
        yield
        return
    before = {number: signal.getsignal(number) for number in ENDING}
    taken = [number for number, known in before.items() if known not in (signal.SIG_IGN, None)]
    for number in taken:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])

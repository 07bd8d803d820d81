# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals that end a run: as exceptions, so that what was begun is undone, and kept back while it is."""

from __future__ import annotations

import contextlib
import signal
import typing as t

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
"""From `kill` or systemd, from a connection that is closed, and from the keyboard."""


class Interrupted(BaseException):
    """A signal has ended the run.  Not an Exception: nothing but a clean end may catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.name = signal.Signals(number).name


@contextlib.contextmanager
def interruptible() -> t.Iterator[None]:
    """Inside the `with` statement a signal that ends the process raises Interrupted.  Signals that are ignored stay ignored."""

    def interrupt(number: int, _frame: object) -> None:
        raise Interrupted(number)

    before = {number: signal.getsignal(number) for number in ENDING}
    for number, handler in before.items():
        if handler in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def uninterrupted() -> t.Iterator[None]:
    """Inside the `with` statement these signals wait."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

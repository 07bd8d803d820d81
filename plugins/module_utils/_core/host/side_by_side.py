# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several pieces of work at the same time, each in a process of its own.  Nothing that they start outlives the call, however it ends."""

from __future__ import annotations

import contextlib
import json
import os
import select
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host import processes
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, of_system
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import uninterrupted
from ansible_collections.vfio.variants.plugins.module_utils._core.host.sysfs import detach

PART = 1 << 16

Work = t.Callable[[], object]
Notice = t.Callable[[int], None]


def processors() -> int:
    """How many of this machine's this process may use."""
    return len(os.sched_getaffinity(0))


class _Running:
    """A piece of work that has begun."""

    def __init__(self, number: int, work: Work) -> None:
        self.number = number
        self.said = b""
        self.reader, writer = os.pipe()
        with uninterrupted():
            self.process = os.fork()
            if self.process == 0:
                # The child must end here in any case: it is a copy of the caller and would go on with the caller's work.
                try:
                    _do_and_answer(work, writer)
                finally:
                    os._exit(0)
        os.close(writer)

    def has_ended(self) -> bool:
        """Reads what there is to be read."""
        part = os.read(self.reader, PART)
        self.said += part
        return not part

    def failure(self) -> HostError | None:
        """Once it has ended."""
        os.close(self.reader)
        os.waitpid(self.process, 0)
        if not self.said:
            return HostError(
                f"Process {self.process} was killed before it had done its work.", "The kernel's log says whether memory was short."
            )
        answer = json.loads(self.said)
        if isinstance(answer, str):
            raise RuntimeError(answer)
        return None if answer is None else HostError(*answer)


def side_by_side(works: t.Sequence[Work], at_once: int, begins: Notice, ends: Notice) -> None:
    """Do all of it, ``at_once`` at a time; ``begins`` and ``ends`` are told which one, by its place in ``works``.

    Raises the HostError of the first that failed, by their order, as if each had waited for the one before: those behind it are ended.
    Each is a copy of this process that keeps none of its files, and what it does to this process's objects is lost.
    """
    running: dict[int, _Running] = {}
    begun, wanted, failure = 0, len(works), None
    try:
        while running or begun < wanted:
            while begun < wanted and len(running) < at_once:
                begins(begun)
                one = _Running(begun, works[begun])
                running[one.reader] = one
                begun += 1
            ended = [running.pop(reader) for reader in select.select(list(running), [], [])[0] if running[reader].has_ended()]
            for one in ended:
                error = one.failure()
                if error is None:
                    ends(one.number)
                elif one.number < wanted:
                    wanted, failure = one.number, error
            _end([running.pop(one.reader) for one in list(running.values()) if one.number > wanted])
    finally:
        with uninterrupted():
            _end(list(running.values()))
    if failure is not None:
        raise failure


def _do_and_answer(work: Work, writer: int) -> None:
    detach(writer)
    failure: tuple[object, ...] | str | None = None
    try:
        work()
    except HostError as error:
        failure = (error.msg, error.hint, error.facts)
    except OSError as error:
        failure = (of_system(error),)
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
    data = json.dumps(failure).encode()
    # The caller has closed its end if the work is no longer wanted.
    with contextlib.suppress(BrokenPipeError):
        while data:
            data = data[os.write(writer, data) :]


def _end(unwanted: t.Sequence[_Running]) -> None:
    """End what is no longer wanted, with all that it has started, and wait for that."""
    for one in unwanted:
        os.close(one.reader)
    sessions = {one.process for one in unwanted}
    if sessions:
        processes.end(lambda: processes.having(processes.SESSION, sessions))
    for process in sessions:
        os.waitpid(process, os.WNOHANG)

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records every read so that a cached result can be revalidated: it is valid while all reads give the same answers."""

from __future__ import annotations

import contextlib
import hashlib
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.regular_file import identity

if t.TYPE_CHECKING:
    import os

ReadAnswer = t.Union[None, int, str, list[str], list[int]]
LoggedReads = list[tuple[str, str, ReadAnswer]]
"""Reads as (question, path, answer), representable in JSON."""
FileVersion = tuple[int, int, int, int]
CONTENT, LINK, NAMES, STATUS, TYPE = "content", "link", "names", "status", "type"
ATTRIBUTE, SLOW_ATTRIBUTE = "attribute", "slow attribute"
"""Of sysfs, as text; one of the second kind is read in a child process, because the kernel may never answer."""


def file_version(status: os.stat_result) -> FileVersion:
    """By which a file is the same, whatever its name is: device, inode, size, and when its content was written, in ns."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


class ReadLog:
    """Records each read of a host's files, with the answer.

    ``newest`` is the latest mtime or ctime, in ns since the epoch, of the files of which only the status was read.
    ``is_complete`` is false once the same read gave two answers, because a file changed meanwhile, or once a command was run.
    """

    def __init__(self, outer: ReadLog | None = None) -> None:
        """What is recorded is recorded in ``outer``, too."""
        self._outer = outer
        self._answers: dict[tuple[str, str], ReadAnswer] = {}
        self._paused = False
        self.newest = 0
        self.is_complete = True

    def record(self, question: str, path: str, answer: ReadAnswer) -> None:
        if self._paused:
            return
        known = self._answers.setdefault((question, path), answer)
        self.is_complete = self.is_complete and known == answer
        if self._outer is not None:
            self._outer.record(question, path, answer)

    def record_all(self, question: str, answers: t.Mapping[str, ReadAnswer]) -> None:
        for path, answer in answers.items():
            self.record(question, path, answer)

    def record_content(self, path: str, content: bytes | None) -> None:
        if not self._paused:
            self.record(CONTENT, path, None if content is None else hashlib.sha256(content).hexdigest())

    def record_status(self, path: str, status: os.stat_result | None) -> None:
        if status is None:
            self.record(STATUS, path, None)
        elif not self._paused:
            self._note(max(status.st_mtime_ns, status.st_ctime_ns))
            self.record(STATUS, path, identity(status))

    def _note(self, changed: int) -> None:
        self.newest = max(self.newest, changed)
        if self._outer is not None and not self._outer._paused:
            self._outer._note(changed)

    def add(self, other: ReadLog) -> None:
        """What was recorded elsewhere, as if it were read now."""
        for question, path, answer in other.seen:
            self.record(question, path, answer)
        if not self._paused:
            self._note(other.newest)
        if not other.is_complete:
            self.record_command()

    def record_command(self) -> None:
        """A command's output cannot be revalidated without running it again."""
        self.is_complete = self.is_complete and self._paused
        if self._outer is not None and not self._paused:
            self._outer.record_command()

    @contextlib.contextmanager
    def paused(self) -> t.Iterator[None]:
        """Suspends recording, for reading files whose status is already recorded."""
        before, self._paused = self._paused, True
        try:
            yield
        finally:
            self._paused = before

    @property
    def seen(self) -> LoggedReads:
        return [(question, path, answer) for (question, path), answer in self._answers.items()]

    def agrees(self, question: str, path: str, answer: ReadAnswer) -> bool:
        """Whether this read is recorded with this answer."""
        return (question, path) in self._answers and self._answers[question, path] == answer


def paused(log: ReadLog | None) -> contextlib.AbstractContextManager[None]:
    """For what follows from reads that are recorded already."""
    return contextlib.nullcontext() if log is None else log.paused()

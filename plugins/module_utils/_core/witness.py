# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was read from a host, as a fingerprint: whoever reads the same again comes to the same conclusions."""

from __future__ import annotations

import contextlib
import hashlib
import typing as t

if t.TYPE_CHECKING:
    import os

Answer = t.Union[None, bool, str, tuple[str, ...], tuple[int, ...]]


class Witness:
    """Notes each question that is asked of a host's files, with its answer.  The order is of no consequence.

    ``newest`` is when the youngest of those files that were only looked at from outside has changed, in ns since the epoch;
    ``is_reliable`` is false once one question has had two answers: something has changed meanwhile.
    """

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], Answer] = {}
        self._looks_away = False
        self.newest = 0
        self.is_reliable = True

    def saw(self, question: str, path: str, answer: Answer) -> None:
        if self._looks_away:
            return
        known = self._answers.setdefault((question, path), answer)
        self.is_reliable = self.is_reliable and known == answer

    def saw_content(self, path: str, content: bytes | None) -> None:
        if not self._looks_away:
            self.saw("content", path, None if content is None else hashlib.sha256(content).hexdigest())

    def saw_status(self, path: str, status: os.stat_result | None) -> None:
        if status is None:
            self.saw("status", path, None)
        elif not self._looks_away:
            changed = (status.st_mtime_ns, status.st_ctime_ns)
            self.newest = max(self.newest, *changed)
            self.saw("status", path, (status.st_mode, status.st_dev, status.st_ino, status.st_size, *changed))

    @contextlib.contextmanager
    def looking_away(self) -> t.Iterator[None]:
        """For reading what the status of a file, which was seen, stands for."""
        before, self._looks_away = self._looks_away, True
        try:
            yield
        finally:
            self._looks_away = before

    def fingerprint(self) -> str:
        """64 hexadecimal digits."""
        seen = sorted((question, path, repr(answer)) for (question, path), answer in self._answers.items())
        return hashlib.sha256(repr(seen).encode("utf-8", "surrogateescape")).hexdigest()

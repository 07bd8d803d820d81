# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was asked of a host's files, with the answers: while they are the same, so is whatever was concluded from them."""

from __future__ import annotations

import contextlib
import hashlib
import typing as t

if t.TYPE_CHECKING:
    import os

Answer = t.Union[None, int, str, list[str], list[int]]
Seen = list[tuple[str, str, Answer]]
"""Questions, the paths that they are about, and the answers, as JSON can say them."""
CONTENT, LINK, NAMES, STATUS, TYPE = "content", "link", "names", "status", "type"


class Witness:
    """Notes each question that is asked of a host's files, with its answer.

    ``newest`` is when the youngest of those files that were only looked at from outside has changed, in ns since the epoch;
    ``is_reliable`` is false once one question has had two answers, for something has changed meanwhile, or once something was
    asked that cannot be asked again at no cost.
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
            self.saw(CONTENT, path, None if content is None else hashlib.sha256(content).hexdigest())

    def saw_status(self, path: str, status: os.stat_result | None) -> None:
        if status is None:
            self.saw(STATUS, path, None)
        elif not self._looks_away:
            changed = (status.st_mtime_ns, status.st_ctime_ns)
            self.newest = max(self.newest, *changed)
            self.saw(STATUS, path, [status.st_mode, status.st_dev, status.st_ino, status.st_size, *changed])

    def saw_command(self) -> None:
        """Whose output nobody knows but by running it again."""
        self.is_reliable = self.is_reliable and self._looks_away

    @contextlib.contextmanager
    def looking_away(self) -> t.Iterator[None]:
        """For reading what the status of a file, which was seen, stands for."""
        before, self._looks_away = self._looks_away, True
        try:
            yield
        finally:
            self._looks_away = before

    @property
    def seen(self) -> Seen:
        return [(question, path, answer) for (question, path), answer in self._answers.items()]

    def agrees(self, question: str, path: str, answer: Answer) -> bool:
        """Whether it was asked this and had this answer."""
        return (question, path) in self._answers and self._answers[question, path] == answer

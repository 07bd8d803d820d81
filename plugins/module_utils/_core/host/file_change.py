# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The current and the desired state of a file, and the difference."""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t


@dataclasses.dataclass(frozen=True)
class FileState:
    """A file's content and permissions; ``foreign_owner`` if it does not belong to the user that we run as."""

    content: bytes
    mode: int = 0o644
    foreign_owner: bool = False


def digest_of(state: FileState | None) -> str:
    """By which a state is compared with another one, permissions included; also that of a file that does not exist."""
    return "absent" if state is None else f"{state.mode:o} {hashlib.sha256(state.content).hexdigest()}"


@dataclasses.dataclass(frozen=True)
class FileChange:
    """The current and the desired state of one file; None means that it does not exist."""

    path: str
    before: FileState | None
    after: FileState | None

    @property
    def needed(self) -> bool:
        return self.before != self.after


def needed(changes: t.Iterable[FileChange]) -> tuple[FileChange, ...]:
    return tuple(change for change in changes if change.needed)


def diff(changes: t.Iterable[FileChange]) -> list[dict[str, str]]:
    """The needed changes in Ansible's diff format."""
    return [
        {
            "before_header": _header(change.path, change.before),
            "before": _text(change.before),
            "after_header": _header(change.path, change.after),
            "after": _text(change.after),
        }
        for change in needed(changes)
    ]


def _header(path: str, state: FileState | None) -> str:
    if state is None:
        return f"{path} (absent)"
    return f"{path} (mode {state.mode:04o}{', owned by another user' if state.foreign_owner else ''})"


def _text(state: FileState | None) -> str:
    return "" if state is None else state.content.decode("utf-8", "replace")

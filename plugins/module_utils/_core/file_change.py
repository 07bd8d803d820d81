# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file as it is and as it shall be."""

from __future__ import annotations

import dataclasses
import os
import stat as stat_bits
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.errors import HostError

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host import Host


@dataclasses.dataclass(frozen=True)
class State:
    """What a file is: content and permissions; ``foreign_owner`` when another user than the one we run as owns it."""

    content: bytes
    mode: int = 0o644
    foreign_owner: bool = False

    @classmethod
    def read(cls, host: Host, path: str) -> State | None:
        """The file's state, None where there is none.  Raises HostError when something else than a file is in its place."""
        if host.link(path) is not None:
            raise HostError(f"{path} is a symbolic link, so it is somebody else's.", "Remove it, or choose another policy name.")
        status = host.stat(path)
        if status is None:
            return None
        if not stat_bits.S_ISREG(status.st_mode):
            raise HostError(f"{path} is not a file.", "Remove it, or choose another policy name.")
        return cls(host.read_bytes(path), stat_bits.S_IMODE(status.st_mode), status.st_uid != os.geteuid())


@dataclasses.dataclass(frozen=True)
class FileChange:
    """One file as it is and as it shall be; None is "not there"."""

    path: str
    before: State | None
    after: State | None

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


def _header(path: str, state: State | None) -> str:
    if state is None:
        return f"{path} (absent)"
    return f"{path} (mode {state.mode:04o}{', owned by another user' if state.foreign_owner else ''})"


def _text(state: State | None) -> str:
    return "" if state is None else state.content.decode("utf-8", "replace")

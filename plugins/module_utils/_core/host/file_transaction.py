# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of several files, made all or none."""

from __future__ import annotations

import os
import posixpath
import stat as stat_bits
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_change import FileChange, FileState, needed

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host


def read_state(host: Host, path: str) -> FileState | None:
    """The file's state, None if it does not exist.  Raises HostError if it is not a regular file."""
    if host.link(path) is not None:
        raise HostError(f"{path} is a symbolic link, which this collection does not create.", "Remove it, or choose another policy name.")
    status = host.stat(path)
    if status is None:
        return None
    if not stat_bits.S_ISREG(status.st_mode):
        raise HostError(f"{path} is not a regular file.", "Remove it, or choose another policy name.")
    return FileState(host.read_bytes(path), stat_bits.S_IMODE(status.st_mode), status.st_uid != os.geteuid())


class Applied:
    """Changes that were made, and how to undo them."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._files: list[FileChange] = []
        self._folders: list[str] = []

    def make(self, change: FileChange) -> None:
        if change.after is None:
            self._files.append(change)
            self._host.remove(change.path)
            return
        self._make_folder(posixpath.dirname(change.path))
        self._files.append(change)
        self._host.write_atomic(change.path, change.after.content, change.after.mode)

    def _make_folder(self, folder: str) -> None:
        missing = []
        while folder != "/" and not self._host.exists(folder):
            missing.append(folder)
            folder = posixpath.dirname(folder)
        for path in reversed(missing):
            self._host.make_directory(path)
            self._folders.append(path)

    def undo(self) -> tuple[str, ...]:
        """Restore every file, the last one first; returns the paths that could not be restored.

        Content and permissions are restored; a file that belonged to another user belongs to ours afterwards.
        """
        stuck = tuple(change.path for change in reversed(self._files) if not self._put_back(change))
        for folder in reversed(self._folders):
            if not self._host.names(folder):
                self._host.remove_tree(folder)
        self._files, self._folders = [], []
        return stuck

    def _put_back(self, change: FileChange) -> bool:
        try:
            if change.before is None:
                self._host.remove(change.path)
            else:
                self._host.write_atomic(change.path, change.before.content, change.before.mode)
        except HostError:
            return False
        return True


def apply(host: Host, changes: t.Iterable[FileChange]) -> Applied:
    """Make the needed changes.  If one fails, those made before are undone, and HostError says which failed."""
    applied = Applied(host)
    try:
        for change in needed(changes):
            applied.make(change)
    except BaseException as error:
        stuck = applied.undo()
        if stuck and isinstance(error, HostError):
            raise HostError(error.msg, f"These files could not be restored: {', '.join(stuck)}.", error.facts) from error
        raise
    return applied

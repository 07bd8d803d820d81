# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of several files, made all or none."""

from __future__ import annotations

import contextlib
import os
import posixpath
import stat as stat_bits
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host import made_folders
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_change import FileChange, FileState, digest_of, needed
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import uninterrupted
from ansible_collections.vfio.variants.plugins.module_utils._core.host.journal import remove_if_empty
from ansible_collections.vfio.variants.plugins.module_utils._core.host.recovery import recorded

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.journal import Journal, Record


def read_state(host: Host, path: str) -> FileState | None:
    """The file's state, None if it does not exist.  Raises HostError if it is not a regular file."""
    if host.link(path) is not None:
        raise HostError(f"{path} is a symbolic link, which this collection does not create.", "Have a regular file in its place.")
    status = host.stat(path)
    if status is None:
        return None
    if not stat_bits.S_ISREG(status.st_mode):
        raise HostError(f"{path} is not a regular file.", "Have a regular file in its place.")
    return FileState(host.read_bytes(path), stat_bits.S_IMODE(status.st_mode), status.st_uid != os.geteuid())


class Applied:
    """Changes that were made, and how to undo them."""

    def __init__(self, host: Host, journal: Journal | None = None) -> None:
        self._host = host
        self._journal = journal
        self._files: list[FileChange] = []
        self._folders: list[str] = []

    def begin(self, changes: t.Sequence[FileChange], about: t.Mapping[str, t.Any]) -> None:
        """Write to the journal what is going to be changed."""
        self._folders = [
            folder for change in changes if change.after is not None for folder in self._missing(posixpath.dirname(change.path))
        ]
        self._folders = list(dict.fromkeys(self._folders))
        if self._journal is not None and changes:
            self._journal.write({**about, "files": _records(changes), "folders": list(reversed(self._folders))})

    def make(self, change: FileChange) -> None:
        self._files.append(change)
        if change.after is None:
            self._host.remove(change.path)
            return
        for folder in self._missing(posixpath.dirname(change.path)):
            self._host.make_directory(folder)
        self._host.write_atomic(change.path, change.after.content, change.after.mode)

    def _missing(self, folder: str) -> list[str]:
        missing: list[str] = []
        while folder != "/" and not self._host.exists(folder):
            missing.insert(0, folder)
            folder = posixpath.dirname(folder)
        return missing

    def commit(self) -> None:
        """The changes are as they should be, and stay; what cannot be recorded about them stays in the journal, for the next run."""
        if self._journal is not None and self._files and made_folders.remember(self._host, self._folders):
            self._journal.close()

    def undo(self) -> tuple[str, ...]:
        """Restore every file, the last one first; returns the paths that could not be restored, which stay in the journal.

        Content and permissions are restored; a file that belonged to another user belongs to ours afterwards.
        """
        with uninterrupted():
            stuck = tuple(change.path for change in reversed(self._files) if not self._put_back(change))
            for folder in reversed(self._folders):
                remove_if_empty(self._host, folder)
            if not stuck and self._journal is not None:
                with contextlib.suppress(HostError):
                    self._journal.close()
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


def _records(changes: t.Sequence[FileChange]) -> list[Record]:
    """Each file once, in the order of the first changes; a file can change in two steps."""
    records: dict[str, Record] = {}
    for change in changes:
        record = records.setdefault(change.path, {"path": change.path, "before": recorded(change.before), "written": []})
        record["after"] = digest_of(change.after)
        record["written"].append(digest_of(change.after))
    return list(records.values())


def apply(
    host: Host, changes: t.Iterable[FileChange], journal: Journal | None = None, about: t.Mapping[str, t.Any] | None = None
) -> Applied:
    """Make the needed changes, in this order.  If one fails, those made before are undone, and HostError says which failed.

    With a ``journal`` the next run can undo them after a kill, until they are committed; ``about`` are further values for it.
    """
    applied = Applied(host, journal)
    wanted = needed(changes)
    try:
        applied.begin(wanted, about or {})
        for change in wanted:
            applied.make(change)
    except BaseException as error:
        stuck = applied.undo()
        if stuck and isinstance(error, HostError):
            raise HostError(error.msg, f"These files could not be restored: {', '.join(stuck)}.", error.facts) from error
        raise
    return applied

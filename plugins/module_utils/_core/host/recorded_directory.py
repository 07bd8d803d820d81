# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An open directory whose reads are recorded.  See `Host.recorded()`."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.read_log import ATTRIBUTE, LINK, NAMES
from ansible_collections.vfio.variants.plugins.module_utils._core.host.sysfs import DirectoryHandle

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.read_log import ReadLog


def opened(handle: int, path: str, log: ReadLog | None, is_trusted: bool) -> DirectoryHandle:
    return DirectoryHandle(handle, is_trusted) if log is None else RecordedDirectory(handle, path, log, is_trusted)


class RecordedDirectory(DirectoryHandle):
    """As `DirectoryHandle`, slower by what a record costs."""

    def __init__(self, handle: int, path: str, log: ReadLog, is_trusted: bool = False) -> None:
        super().__init__(handle, is_trusted)
        self._path = path
        self._log = log

    def entries(self) -> list[str]:
        found = super().entries()
        self._log.record(NAMES, self._path, sorted(found))
        return found

    def names(self, below: str) -> list[str]:
        found = super().names(below)
        self._log.record(NAMES, f"{self._path}/{below}", found)
        return found

    def attribute(self, name: str) -> str | None:
        found = super().attribute(name)
        self._log.record(ATTRIBUTE, f"{self._path}/{name}", found)
        return found

    def link_name(self, name: str) -> str | None:
        try:
            target: str | None = os.readlink(name, dir_fd=self._handle)
        except OSError:
            target = None
        self._log.record(LINK, f"{self._path}/{name}", target)
        return None if target is None else target.rpartition("/")[2]

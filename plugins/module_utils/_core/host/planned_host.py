# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host as it will be once some files have changed, to be read before anything is written."""

from __future__ import annotations

import contextlib
import io
import os
import posixpath
import stat as stat_bits
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.regular_file import LARGEST_TEXT


class PlannedHost(Host):
    """The files of ``host``, with those of ``planned`` in place of the present ones; None stands for a file that will be gone.

    Planned paths are taken as they are written: links above them are not followed.  Commands run on this machine, as ever.
    """

    answers_each = True

    def __init__(self, host: Host, planned: t.Mapping[str, bytes | None], modes: t.Mapping[str, int] | None = None) -> None:
        super().__init__(host.root, host._runner)
        self.is_image, self._own_runner = host.is_image, host._own_runner
        # What was read from files that do not change here is as good there.
        self._read_once = host._read_once
        # So is what is read from them; what is planned is not the host's, and is not recorded.
        self._read_log = host._read_log
        self._planned = planned
        self._modes = modes or {}
        self._folders = frozenset(folder for path, content in planned.items() if content is not None for folder in _above(path))

    def read_bytes(self, path: str, most: int = LARGEST_TEXT) -> bytes:
        if path not in self._planned:
            return super().read_bytes(path, most)
        content = self._planned[path]
        if content is None:
            raise HostError(f"{path} cannot be read: it is to be removed.")
        return content

    def text_or_none(self, path: str, most: int = LARGEST_TEXT) -> str | None:
        content = self._planned.get(path)
        if content is None:
            return None if path in self._planned else super().text_or_none(path, most)
        return content.decode("utf-8", "surrogateescape").strip()

    @contextlib.contextmanager
    def open(self, path: str, most: int | None = None) -> t.Iterator[t.BinaryIO]:
        if path in self._planned:
            yield io.BytesIO(self.read_bytes(path))
            return
        with super().open(path, most) as file:
            yield file

    def names(self, path: str) -> tuple[str, ...]:
        folder = path.rstrip("/")
        found = set(super().names(path))
        for other, content in self._planned.items():
            if posixpath.dirname(other) == folder:
                (found.discard if content is None else found.add)(posixpath.basename(other))
        found.update(posixpath.basename(other) for other in self._folders if posixpath.dirname(other) == folder)
        return tuple(sorted(found))

    def link(self, path: str) -> str | None:
        return None if path in self._planned else super().link(path)

    def stat(self, path: str) -> os.stat_result | None:
        return self._status(path) if self._is_planned(path) else super().stat(path)

    def _type(self, path: str) -> int:
        if not self._is_planned(path):
            return super()._type(path)
        status = self._status(path)
        return 0 if status is None else stat_bits.S_IFMT(status.st_mode)

    def _is_planned(self, path: str) -> bool:
        return path in self._planned or (path.rstrip("/") in self._folders and super()._status(path) is None)

    def _status(self, path: str) -> os.stat_result | None:
        if path in self._planned:
            content = self._planned[path]
            return None if content is None else _status_of(stat_bits.S_IFREG | self._modes.get(path, 0o644), len(content))
        found = super()._status(path)
        return _status_of(stat_bits.S_IFDIR | 0o755, 0) if found is None and path.rstrip("/") in self._folders else found


def _above(path: str) -> t.Iterator[str]:
    folder = posixpath.dirname(path)
    while folder != "/":
        yield folder
        folder = posixpath.dirname(folder)


def _status_of(mode: int, size: int) -> os.stat_result:
    times = {"st_atime_ns": 0, "st_mtime_ns": 0, "st_ctime_ns": 0}
    return os.stat_result((mode, 0, 0, 1, 0, 0, size, 0, 0, 0), times)

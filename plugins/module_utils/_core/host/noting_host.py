# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that notes what is read of it, so that just that can be put together elsewhere."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.sysfs import DirectoryHandle
from ansible_collections.vfio.variants.plugins.module_utils._core.host.tolerant_host import TolerantHost

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.command import Runner

KEPT = 64 << 10
"""Bytes of a file that are kept as they were read; larger ones are on a disk, and are read again."""


@dataclasses.dataclass
class Notes:
    """Paths on the host: contents that were read, files that were read whole, directories that were listed, and what was looked at.

    ``images`` are initramfs images, each with the modules in it whose content matters.
    """

    contents: dict[str, bytes] = dataclasses.field(default_factory=dict)
    whole: set[str] = dataclasses.field(default_factory=set)
    listed: set[str] = dataclasses.field(default_factory=set)
    seen: set[str] = dataclasses.field(default_factory=set)
    images: dict[str, set[str]] = dataclasses.field(default_factory=dict)


class NotingHost(TolerantHost):
    """Answers as `TolerantHost` does, by which hosts are predicted, and notes every question."""

    answers_each = True

    def __init__(self, root: str, runner: Runner | None) -> None:
        super().__init__(Host(root, runner))
        self.notes = Notes()

    def note_image(self, path: str, modules: t.Collection[str] = ()) -> None:
        self.notes.images.setdefault(path, set()).update(modules)

    def note_whole(self, path: str) -> None:
        self.notes.whole.add(path)

    def _content(self, path: str, most: int) -> bytes:
        self.notes.seen.add(path)
        content = super()._content(path, most)
        if len(content) <= KEPT:
            self.notes.contents[path] = content
        else:
            self.notes.whole.add(path)
        return content

    @contextlib.contextmanager
    def open(self, path: str, most: int | None = None) -> t.Iterator[t.BinaryIO]:
        self.notes.seen.add(path)
        with super().open(path, most) as file:
            self.notes.whole.add(path)
            yield file

    def open_directory(self, path: str) -> DirectoryHandle:
        self.notes.seen.add(path)
        with super().open_directory(path) as directory:
            return _NotingDirectory(os.dup(directory._handle), self.root == "/", path.rstrip("/"), self.notes)

    def attributes(self, paths: t.Sequence[str], timeout: float) -> dict[str, str]:
        # Another process reads them, so what it notes is lost.
        found = super().attributes(paths, timeout)
        self.notes.seen.update(paths)
        self.notes.contents.update({path: _line(value) for path, value in found.items()})
        return found

    def names(self, path: str) -> tuple[str, ...]:
        self.notes.seen.add(path)
        found = super().names(path)
        self.notes.listed.add(path)
        return found

    def _status(self, path: str) -> os.stat_result | None:
        self.notes.seen.add(path)
        return super()._status(path)

    def link(self, path: str) -> str | None:
        self.notes.seen.add(path)
        return super().link(path)


def _line(value: str) -> bytes:
    return f"{value}\n".encode("utf-8", "surrogateescape")


class _NotingDirectory(DirectoryHandle):
    """A directory whose files are noted by their paths."""

    def __init__(self, handle: int, is_trusted: bool, path: str, notes: Notes) -> None:
        super().__init__(handle, is_trusted)
        self._path = path
        self._notes = notes

    def entries(self) -> list[str]:
        self._notes.listed.add(self._path)
        return super().entries()

    def names(self, below: str) -> list[str]:
        self._notes.listed.add(f"{self._path}/{below}")
        return super().names(below)

    def attribute(self, name: str) -> str | None:
        found = super().attribute(name)
        self._notes.seen.add(f"{self._path}/{name}")
        if found is not None:
            self._notes.contents[f"{self._path}/{name}"] = _line(found)
        return found

    def link_name(self, name: str) -> str | None:
        self._notes.seen.add(f"{self._path}/{name}")
        return super().link_name(name)

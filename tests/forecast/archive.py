# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archives that an initramfs consists of."""

from __future__ import annotations

import gzip
import lzma
import os
import stat
import subprocess
import typing as t
from pathlib import Path, PurePosixPath

#: Debian's layout: the folders whose contents moved below /usr.
MERGED = ("bin", "lib", "lib64", "sbin")
_PROGRAMS = {"zstd": ("zstd", "-q", "-1", "-c"), "lz4": ("lz4", "-q", "-l", "-c")}


class Archive:
    """A cpio archive in the making, in the only format that the kernel takes ("newc")."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._known: set[str] = set()

    def folder(self, path: str) -> None:
        name = _merged(path)
        if name and name not in self._known:
            self._parents(name)
            self._add(name, stat.S_IFDIR | 0o755, b"")

    def file(self, path: str, content: bytes | str, mode: int = 0o644) -> None:
        name = _merged(path)
        self._parents(name)
        self._add(name, stat.S_IFREG | mode, content.encode() if isinstance(content, str) else content)

    def link(self, path: str, target: str) -> None:
        name = path.lstrip("/") if path.lstrip("/") in MERGED else _merged(path)
        self._parents(name)
        self._add(name, stat.S_IFLNK | 0o777, target.encode())

    def tree(self, source: Path, path: str) -> None:
        """Everything below `source`, placed below `path`; links stay links."""
        for folder, folders, files in os.walk(source):
            here = PurePosixPath(path) / Path(folder).relative_to(source)
            for name in (*files, *(name for name in folders if (Path(folder) / name).is_symlink())):
                place = Path(folder) / name
                if place.is_symlink():
                    self.link(str(here / name), str(place.readlink()))
                else:
                    self.file(str(here / name), place.read_bytes(), place.stat().st_mode & 0o777)

    def content(self) -> bytes:
        return b"".join((*self._parts, _entry(len(self._parts) + 1, "TRAILER!!!", 0, b"")))

    def _parents(self, name: str) -> None:
        for parent in reversed(PurePosixPath(name).parents[:-1]):
            if str(parent) not in self._known:
                self._add(str(parent), stat.S_IFDIR | 0o755, b"")

    def _add(self, name: str, mode: int, content: bytes) -> None:
        self._known.add(name)
        self._parts.append(_entry(len(self._parts) + 1, name, mode, content))


def compressed(content: bytes, compression: str) -> bytes:
    """As the kernel's decompressors want it: xz with CRC32, lz4 in its legacy format."""
    if compression == "none":
        return content
    if compression == "gzip":
        return gzip.compress(content, 1, mtime=0)
    if compression == "xz":
        return lzma.compress(content, check=lzma.CHECK_CRC32, preset=0)
    return subprocess.run(_PROGRAMS[compression], input=content, capture_output=True, check=True, timeout=60).stdout


def padded(content: bytes) -> bytes:
    """Filled up to where the kernel looks for the next archive."""
    return content + b"\0" * (-len(content) % 512)


def _merged(path: str) -> str:
    name = str(PurePosixPath(path.lstrip("/")))
    first = name.partition("/")[0]
    return f"usr/{name}" if first in MERGED else ("" if name == "." else name)


def _entry(number: int, name: str, mode: int, content: bytes) -> bytes:
    label = name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    fields: t.Sequence[int] = (number, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(label), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + label
    return head + b"\0" * (-len(head) % 4) + content + b"\0" * (-len(content) % 4)

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens and reads regular files only, and no more of them than a stated limit.

A FIFO would block for ever, opening some device nodes does something (a watchdog starts), and a sparse file of gigabytes fills memory.
"""

from __future__ import annotations

import errno
import os
import stat as stat_bits
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

LARGEST_TEXT = 8 << 20
"""Bytes of a file of text, of which thirty times as much can be made: the longest of a kernel, modules.alias, has a fifth of that."""
LARGEST_FILE = 256 << 20
"""Bytes of any file that is read as a whole, and of a module once it is unpacked: ten times the largest stripped module."""
PIECE = 1 << 16
NULL = os.makedev(1, 3)
"""/dev/null, to which a link stands for an empty file."""
# Without O_NONBLOCK, a FIFO that takes a file's place after it was looked at would block.
FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
KINDS: t.Mapping[int, str] = {
    stat_bits.S_IFIFO: "a FIFO",
    stat_bits.S_IFSOCK: "a socket",
    stat_bits.S_IFCHR: "a device node",
    stat_bits.S_IFBLK: "a device node",
    stat_bits.S_IFDIR: "a directory",
}


class UnfitFileError(HostError):
    """The file exists, and is of a type or size that is not read."""


def refuse_impossible(path: str) -> None:
    """A NUL, or half of a pair of UTF-16, that somebody's file has where it should name another: for Python, a ValueError."""
    if not path.isascii():
        try:
            path.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "") from None
    if "\0" in path:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "")


def open_regular(place: str, shown: str, most: int | None = None) -> int:
    """A handle of the file at ``place``.  Raises OSError, or UnfitFileError if it is not a regular file of at most ``most`` bytes."""
    _refuse(os.stat(place), shown, most)
    handle = os.open(place, FLAGS)
    try:
        _refuse(os.fstat(handle), shown, most)
    except BaseException:
        os.close(handle)
        raise
    return handle


def read_regular(place: str, shown: str, most: int) -> bytes:
    """The content of the file at ``place``, which ``shown`` names in errors.  Raises as `open_regular()` does."""
    handle = open_regular(place, shown, most)
    try:
        # Files of /proc have no size, those of sysfs that of a page; both end sooner or later than that.
        content = os.read(handle, min(most, os.fstat(handle).st_size) + PIECE)
        more = os.read(handle, PIECE) if content else b""
        if not more and len(content) <= most:
            # Joined with nothing, the largest file would be in memory twice.
            return content
        pieces, size = [content, more], len(content) + len(more)
        while more and size <= most:
            more = os.read(handle, PIECE)
            pieces.append(more)
            size += len(more)
    finally:
        os.close(handle)
    if size > most:
        raise _too_large(shown, most)
    return b"".join(pieces)


def _refuse(status: os.stat_result, shown: str, most: int | None) -> None:
    kind = stat_bits.S_IFMT(status.st_mode)
    if kind == stat_bits.S_IFCHR and status.st_rdev == NULL:
        return
    if kind != stat_bits.S_IFREG:
        raise UnfitFileError(f"{shown} cannot be read: it is {KINDS.get(kind, 'no regular file')}.")
    if most is not None and status.st_size > most:
        raise _too_large(shown, most)


def _too_large(shown: str, most: int) -> UnfitFileError:
    return UnfitFileError(f"{shown} cannot be read: it has more than {most >> 20} MiB.")


def identity(status: os.stat_result) -> list[int]:
    """Type and mode, owner, group, of a node its number, then device, inode, size, mtime and ctime."""
    return [*access(status), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def access(status: os.stat_result) -> list[int]:
    """What of it holds where its times say nothing."""
    return [status.st_mode, status.st_uid, status.st_gid, status.st_rdev]

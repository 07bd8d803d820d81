# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory that only this process's user can write to, accessed through its open handle.  See `Host.cache_directory()`."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat as stat_bits
import typing as t

CACHE_DIRECTORY = "/var/cache/vfio-variants"
UNCHANGED = "unchanged-"
"""Begins the names of records, of which more are kept than of other files."""
DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
OTHERS_WRITE = stat_bits.S_IWGRP | stat_bits.S_IWOTH


class CacheDirectory:
    """The files of one user in one directory, by base name.  Symbolic links are never followed."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if there is none, or if another user owns it or can write to it."""
        file = self._open(name)
        if file is None:
            return None
        with file:
            status = os.fstat(file.fileno())
            return file.read() if stat_bits.S_ISREG(status.st_mode) and is_private(status) else None

    def read_exclusive(self, name: str, most: int) -> bytes | None:
        """As `read()`, of at most ``most`` bytes; None too unless both have the owner and modes that `write()` gives.

        Whoever could once have written to either could have written what is there now.
        """
        if stat_bits.S_IMODE(os.fstat(self._handle).st_mode) != DIRECTORY_MODE:
            return None
        file = self._open(name)
        if file is None:
            return None
        with file:
            status = os.fstat(file.fileno())
            is_ours = status.st_uid == os.geteuid() and status.st_nlink == 1 and status.st_mode == stat_bits.S_IFREG | FILE_MODE
            return file.read() if is_ours and status.st_size <= most else None

    def _open(self, name: str) -> t.BinaryIO | None:
        try:
            # Without O_NONBLOCK a FIFO of that name would block the open.
            handle = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self._handle)
        except OSError:
            return None
        return os.fdopen(handle, "rb")

    def write(self, name: str, data: bytes) -> None:
        """Replace a file atomically.  Raises OSError."""
        temporary = f".{name}.{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            with os.fdopen(os.open(temporary, flags, FILE_MODE, dir_fd=self._handle), "wb") as file:
                file.write(data)
            os.replace(temporary, name, src_dir_fd=self._handle, dst_dir_fd=self._handle)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=self._handle)
            raise

    def keep_newest(self, count: int, which: t.Callable[[str], bool] = lambda _name: True) -> None:
        """Delete all but the ``count`` most recently written of the files whose names ``which`` accepts.  Raises OSError."""
        names = [name for name in os.listdir(self._handle) if not name.startswith(".") and which(name)]
        if len(names) <= count:
            return
        written = {name: os.stat(name, dir_fd=self._handle, follow_symlinks=False).st_mtime_ns for name in names}
        for name in sorted(names, key=written.__getitem__)[: len(names) - count]:
            os.unlink(name, dir_fd=self._handle)


@contextlib.contextmanager
def opened_private(place: str, create: bool) -> t.Iterator[CacheDirectory | None]:
    """The directory's files; None and raises as `open_private()` does."""
    handle = open_private(place, create)
    if handle is None:
        yield None
        return
    try:
        yield CacheDirectory(handle)
    finally:
        os.close(handle)


def open_private(place: str, create: bool) -> int | None:
    """A handle of the directory; None if there is none, if it is a link, or if others can write to it.  Raises OSError."""
    if create:
        with contextlib.suppress(FileExistsError):
            os.mkdir(place, DIRECTORY_MODE)
    try:
        handle = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    if is_private(os.fstat(handle)):
        return handle
    os.close(handle)
    return None


def is_private(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & OTHERS_WRITE

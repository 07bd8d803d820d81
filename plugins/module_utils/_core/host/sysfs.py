# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fast reads and bounded writes of sysfs attributes."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import stat as stat_bits
import struct
import typing as t

# The kernel limits an attribute to one page; those of a PCI function fit into the smallest page size.
ATTRIBUTE = 4096
READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
LIST = READ | os.O_DIRECTORY


class DirectoryHandle:
    """An open directory whose files are read relative to its handle.  See `Host.open_directory()`.

    That avoids a path lookup for each of the dozen attributes of each of a thousand devices.  A context manager written as a class
    takes half the time of one written as a generator.
    """

    def __init__(self, handle: int, is_trusted: bool = False) -> None:
        """``is_trusted`` if the kernel made the directory, so that its files are files."""
        self._handle = handle
        self._is_trusted = is_trusted

    def __enter__(self) -> DirectoryHandle:
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self._handle)

    def entries(self) -> list[str]:
        """The names in the directory, unsorted."""
        return os.listdir(self._handle)

    def names(self, below: str) -> list[str]:
        """The sorted names in a subdirectory; empty if it does not exist."""
        try:
            handle = os.open(below, LIST, dir_fd=self._handle)
        except OSError:
            return []
        try:
            return sorted(os.listdir(handle))
        finally:
            os.close(handle)

    def attribute(self, name: str) -> str | None:
        """The stripped content of an attribute; None if it does not exist or cannot be read.  A link is not followed."""
        try:
            if not self._is_trusted and not stat_bits.S_ISREG(os.stat(name, dir_fd=self._handle, follow_symlinks=False).st_mode):
                return None
            handle = os.open(name, READ, dir_fd=self._handle)
        except OSError:
            return None
        try:
            return os.read(handle, ATTRIBUTE).decode("utf-8", "surrogateescape").strip()
        except OSError:
            return None
        finally:
            os.close(handle)

    def link_name(self, name: str) -> str | None:
        """The base name of a symbolic link's target; None if it is not a link."""
        try:
            return os.readlink(name, dir_fd=self._handle).rpartition("/")[2]
        except OSError:
            return None


def write_with_timeout(path: str, data: bytes, timeout: float) -> int | None:
    """Write ``data`` to ``path`` in a child process.  Returns 0, the errno, or None if it did not end within ``timeout`` seconds.

    The child keeps none of this process's files: an SSH connection, which waits for the standard streams to be closed, can end while
    the child is still blocked in the kernel, and a lock on an open file (flock(2)) ends with this process's own handle of it.
    """

    def write() -> None:
        os.write(os.open(path, os.O_WRONLY), data)

    return in_child(write, timeout)


def in_child(work: t.Callable[[], object], timeout: float) -> int | None:
    """Do what may never return in a child process.  Returns 0, the errno, or None if it did not end within ``timeout`` seconds."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # The child must end here in any case: it is a copy of the caller and would go on with the caller's work.
        try:
            _do_and_report(work, writer)
        finally:
            os._exit(0)
    os.close(writer)
    try:
        ready, _unused, _unused2 = select.select([reader], [], [], timeout)
        if not ready:
            return None
        answer = os.read(reader, 4)
    finally:
        os.close(reader)
    os.waitpid(child, 0)
    return int(struct.unpack("i", answer)[0]) if len(answer) == 4 else errno.EIO


def _do_and_report(work: t.Callable[[], object], writer: int) -> None:
    code = 0
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        _keep_only(writer)
        work()
    except OSError as error:
        code = error.errno or errno.EIO
    # The caller has closed its end if the write took longer than its timeout.
    with contextlib.suppress(BrokenPipeError):
        os.write(writer, struct.pack("i", code))


def _keep_only(handle: int) -> None:
    """Close every open file of this process but the standard streams and ``handle``."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) != handle:
            with contextlib.suppress(OSError):
                os.close(int(name))

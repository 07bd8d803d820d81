# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fast reads and bounded writes of sysfs attributes."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import select
import stat as stat_bits
import struct
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host import processes
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import uninterrupted

# The kernel limits an attribute to one page; those of a PCI function fit into the smallest page size.
ATTRIBUTE_SIZE = 4096
READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
LIST = READ | os.O_DIRECTORY
AFTER_SIGNAL = 5.0
"""Seconds to wait for what a child process is doing when a signal ends the run."""
SHOWN_FUNCTIONS = 4
MOST_STUCK = 3
"""After so many attributes that the kernel does not show no more is read: each costs a whole time limit."""
SYSFS = "/sys"
ANSWER = struct.Struct("i")
"""An errno, 0 if all went well."""
# "[<0>] vfio_unregister_group_dev+0x12d/0x230 [vfio]": proc_pid_stack() in fs/proc/base.c
_FUNCTION = re.compile(r"\[<[0-9a-f]*>\] ([^+\s]+)")


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
            return os.read(handle, ATTRIBUTE_SIZE).decode("utf-8", "surrogateescape").strip()
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


class StuckProcess(t.NamedTuple):
    """Work that did not end in time: the process that is left behind with it, and in which kernel functions, innermost first."""

    process: int
    stack: tuple[str, ...]

    def __str__(self) -> str:
        where = f" in {' < '.join(self.stack[:SHOWN_FUNCTIONS])}" if self.stack else ""
        return f"process {self.process} still waits{where}"


def write_with_timeout(path: str, data: bytes, timeout: float) -> int | StuckProcess:
    """Write ``data`` to ``path`` in a child process.  Returns 0, the errno, or what is left behind after ``timeout`` seconds.

    The child keeps none of this process's files: an SSH connection, which waits for the standard streams to be closed, can end while
    the child is still blocked in the kernel, and a lock on an open file (flock(2)) ends with this process's own handle of it.
    """

    def write() -> None:
        os.write(os.open(path, os.O_WRONLY), data)

    return in_child(write, timeout)


def in_child(work: t.Callable[[], object], timeout: float) -> int | StuckProcess:
    """Do what may never return in a child process.  Returns 0, the errno, or what is left behind after ``timeout`` seconds."""
    reader, writer = os.pipe()
    with uninterrupted():
        child = os.fork()
        if child == 0:
            # The child must end here in any case: it is a copy of the caller and would go on with the caller's work.
            try:
                _do_and_report(work, writer)
            finally:
                os._exit(0)
    os.close(writer)
    try:
        answer = answer_within(reader, timeout)
    finally:
        os.close(reader)
    if answer is None:
        return StuckProcess(child, kernel_stack(child))
    os.waitpid(child, 0)
    return int(ANSWER.unpack(answer)[0]) if len(answer) == ANSWER.size else errno.EIO


def answer_within(reader: int, timeout: float) -> bytes | None:
    """What the child answers; None if it does not in time.  Whoever undoes the work after a signal must find it done or not begun."""
    try:
        ready = select.select([reader], [], [], timeout)[0]
    except BaseException:
        with uninterrupted():
            select.select([reader], [], [], min(timeout, AFTER_SIGNAL))
        raise
    return os.read(reader, ANSWER.size) if ready else None


def kernel_stack(process: int) -> tuple[str, ...]:
    """The kernel functions that a process waits in; empty if the kernel does not say, as without root."""
    try:
        with open(f"/proc/{process}/stack", encoding="ascii", errors="replace") as file:
            return tuple(match[1] for match in map(_FUNCTION.match, file.read(ATTRIBUTE_SIZE).splitlines()) if match)
    except OSError:
        return ()


def _do_and_report(work: t.Callable[[], object], writer: int) -> None:
    code = 0
    try:
        detach(writer)
        work()
    except OSError as error:
        code = error.errno or errno.EIO
    # The caller has closed its end if the write took longer than its timeout.
    with contextlib.suppress(BrokenPipeError):
        os.write(writer, ANSWER.pack(code))


def detach(*handles: int) -> None:
    """Make this process one that nothing waits for, with nothing open but ``handles``."""
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    _keep_only(*handles)


def _keep_only(*handles: int) -> None:
    """Close every open file of this process but the standard streams and ``handles``."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in handles:
            with contextlib.suppress(OSError):
                os.close(int(name))


def start_time(process: int) -> str:
    """When a process of this machine started, in clock ticks; empty if it has ended."""
    fields = processes.stat_of(process)
    return fields[processes.STARTED] if fields else ""


def read_attribute(path: str) -> str | None:
    """The stripped content of an attribute; None if it does not exist or cannot be read."""
    folder, _slash, name = path.rpartition("/")
    try:
        with DirectoryHandle(os.open(folder, LIST & ~os.O_NOFOLLOW)) as directory:
            return directory.attribute(name)
    except OSError:
        return None


def read_attributes(
    paths: t.Sequence[str], timeout: float, read: t.Callable[[str], str | None] = read_attribute, place: t.Callable[[str], str] = str
) -> dict[str, str]:
    """The stripped contents of attributes, by path; one that does not exist, or that the kernel does not show in time, is missing.

    A device whose driver is being changed is locked (device_lock()), and so is every reader of its `driver_override`: for ever,
    if its former driver does not let it go.  ``place`` says where the file of a path lies.
    """
    found: dict[str, str] = {}
    left: list[str] = []
    sysfs = _device_of(SYSFS)
    for path in paths:
        if _may_wait(path, place, sysfs):
            left.append(path)
        elif (value := read(path)) is not None:
            found[path] = value.replace("\0", "")
    for _attempt in range(MOST_STUCK):
        seen = _read_in_child(left, timeout, read, found) if left else 0
        if seen >= len(left):
            break
        left = left[seen + 1 :]
    return found


def _device_of(path: str) -> int | None:
    try:
        return os.stat(path).st_dev
    except OSError:
        return None


def _may_wait(path: str, place: t.Callable[[str], str], sysfs: int | None) -> bool:
    """Whether a reader may have to wait for ever.  A plain file of any other file system than sysfs, as in an image, is read at once.

    That spares a copy of this process, which takes the longer the larger it is.
    """
    try:
        seen = os.lstat(place(path))
    except FileNotFoundError:
        return False
    except (OSError, HostError):
        return True
    return seen.st_dev == sysfs or not stat_bits.S_ISREG(seen.st_mode)


def _read_in_child(paths: t.Sequence[str], timeout: float, read: t.Callable[[str], str | None], found: dict[str, str]) -> int:
    """Add to ``found``; returns how many of the paths were seen to before the kernel did not answer for one."""
    reader, writer = os.pipe()
    with uninterrupted():
        child = os.fork()
        if child == 0:
            try:
                _read_and_report(paths, read, writer)
            finally:
                os._exit(0)
    os.close(writer)
    text, seen = b"", 0
    try:
        while select.select([reader], [], [], timeout)[0]:
            part = os.read(reader, 1 << 16)
            if not part:
                os.waitpid(child, 0)
                return len(paths)
            text += part
        seen = text.count(b"\0")
    finally:
        os.close(reader)
        for path, value in zip(paths, text.split(b"\0")[:-1]):
            if value.startswith(b"="):
                found[path] = value[1:].decode("utf-8", "surrogateescape")
    return seen


def _read_and_report(paths: t.Sequence[str], read: t.Callable[[str], str | None], writer: int) -> None:
    os.setsid()
    _keep_only(writer)
    for path in paths:
        value = read(path)
        text = b"" if value is None else b"=" + value.encode("utf-8", "surrogateescape").replace(b"\0", b"")
        with contextlib.suppress(OSError):
            os.write(writer, text + b"\0")

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock that keeps two runs of the collection from changing one host at the same time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache_dir import DIRECTORY_MODE, open_private
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

# Not /run/lock, where every user can create files: one of them could hold the lock, or put a FIFO in its place.
LOCK_DIRECTORY = "/run/vfio-variants"
LOCK_FILE = "lock"
LOCK_TIMEOUT = 600.0
POLL = 0.05
IN_ITS_PLACE = (errno.ELOOP, errno.EISDIR, errno.ENXIO)
"""A link, a directory or a socket is there."""
FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


@contextlib.contextmanager
def locked(place: str, timeout: float) -> t.Iterator[int]:
    """Hold the lock in the directory ``place``, which is created for this process's user only.

    Yields the number of this turn: if it follows another one's, nobody has held the lock in between.  Raises HostError if the directory
    cannot be used, or if another run holds the lock for more than ``timeout`` seconds.
    """
    handle = _open(place)
    try:
        _take(handle, timeout)
        try:
            yield _turn(handle)
        finally:
            # Explicitly, since a process that was forked meanwhile may have this file open, too.
            fcntl.flock(handle, fcntl.LOCK_UN)
    finally:
        os.close(handle)


def _open(place: str) -> int:
    try:
        # In a tree that was never booted, its parent does not exist either.
        os.makedirs(os.path.dirname(place), exist_ok=True)
        directory = open_private(place, create=True)
        if directory is None and os.geteuid() != 0:
            raise _needs_root()
        if directory is None:
            raise HostError(f"{LOCK_DIRECTORY} does not belong to root alone, so it cannot hold the lock.", "Remove it.")
        try:
            os.fchmod(directory, DIRECTORY_MODE)
            return os.open(LOCK_FILE, FLAGS, 0o600, dir_fd=directory)
        finally:
            os.close(directory)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            raise _needs_root() from error
        hint = "Remove what is there; this collection makes a plain file." if error.errno in IN_ITS_PLACE else None
        raise HostError(f"{LOCK_DIRECTORY}/{LOCK_FILE} cannot be opened: {error.strerror}.", hint) from error


def _needs_root() -> HostError:
    return HostError("Changing this host needs root.", "Set `become: true`.")


def _take(handle: int, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not _is_taken(handle):
        if time.monotonic() > deadline:
            raise HostError(
                f"Another run of this collection has been changing this host for more than {timeout:g} s.",
                f"`fuser {LOCK_DIRECTORY}/{LOCK_FILE}` names it.",
            )
        time.sleep(POLL)


def _turn(handle: int) -> int:
    """One more than that of the turn before.  As the file's time, which a full disk has room for; one too coarse never follows another."""
    status = os.fstat(handle)
    os.utime(handle, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    return os.fstat(handle).st_mtime_ns


def _is_taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of single files that survive a power failure."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat as stat_bits
import tempfile
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import uninterrupted

TEMPORARY = ".vfio-variants-"
"""How the names of temporary files begin, which a run that was killed leaves behind."""
SCRATCH = "vfio-variants-scratch-"
# Not /tmp, which is often a tmpfs: an unpacked initramfs image has hundreds of megabytes.
LARGE = "/var/tmp"  # noqa: S108 - only mkdtemp() writes there
# Some file systems, such as those of virtual machines' shared folders, have no fsync() for directories.
UNSUPPORTED = (errno.EINVAL, errno.EOPNOTSUPP)


class NotDurableError(HostError):
    """The change is made, but may not survive a power failure.  Whoever takes it back need not say more than this."""


def replace_file(place: str, path: str, data: bytes, mode: int) -> None:
    """Replace the file at ``place``: after a crash it has the old content or the new.  Raises HostError, which calls it ``path``.

    A signal waits until it is replaced, so that it cannot come between making the temporary file and seeing to its removal.
    """
    with uninterrupted():
        _replace(place, path, data, mode)
        settle(place, path)


def _replace(place: str, path: str, data: bytes, mode: int) -> None:
    try:
        handle, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=os.path.dirname(place))
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                os.fchmod(handle, mode)
                file.flush()
                os.fsync(handle)
            os.replace(temporary, place)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise HostError(f"{path} cannot be written: {error.strerror}.") from error


def remove_file(place: str, path: str) -> None:
    """Remove a file or link if it exists.  Raises HostError."""
    try:
        os.unlink(place)
    except FileNotFoundError:
        return
    except OSError as error:
        raise HostError(f"{path} cannot be removed: {error.strerror}.") from error
    settle(place, path)


def move(source: str, target: str, names: tuple[str, str]) -> None:
    """Move a file or directory within one file system, replacing a file of that name.  Raises HostError."""
    try:
        os.replace(source, target)
    except OSError as error:
        raise HostError(f"{names[0]} cannot be moved to {names[1]}: {error.strerror}.") from error
    settle(target, names[1])


def settle(place: str, path: str) -> None:
    """Make what a file's directory says of it survive a power failure.  Raises NotDurableError."""
    folder = os.path.dirname(place)
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno in UNSUPPORTED:
            return
        raise NotDurableError(
            f"{path}: its directory cannot be synchronized with the disk ({error.strerror}), "
            "so a change of it may not survive a power failure.",
            "See what the kernel's log says about the disk, and run this again.",
        ) from error


def is_leftover(place: str) -> bool:
    """Whether this is a temporary file of this process's user.  Links and directories are none."""
    try:
        status = os.lstat(place)
    except OSError:
        return False
    return os.path.basename(place).startswith(TEMPORARY) and stat_bits.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()


@contextlib.contextmanager
def scratch(folder: str | None = None) -> t.Iterator[str]:
    """A temporary directory that is locked while it is used, so that `remove_scratch()` can tell which are not."""
    while True:
        directory = tempfile.mkdtemp(prefix=SCRATCH, dir=folder or (LARGE if os.path.isdir(LARGE) else None))
        handle = _locked(directory)
        if handle is not None:
            break
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(handle)


def remove_scratch() -> None:
    """Remove the scratch directories of runs that were killed."""
    for name in sorted(os.listdir(LARGE)) if os.path.isdir(LARGE) else ():
        place = f"{LARGE}/{name}"
        if not name.startswith(SCRATCH) or not _is_own_directory(place):
            continue
        handle = _locked(place)
        if handle is not None:
            shutil.rmtree(place, ignore_errors=True)
            os.close(handle)


def _is_own_directory(place: str) -> bool:
    try:
        status = os.lstat(place)
    except OSError:
        return False
    return stat_bits.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def _locked(directory: str) -> int | None:
    """A handle that holds the directory's lock; None if another process does, or has removed the directory."""
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), os.lstat(directory)):
            return handle
    except OSError:
        pass
    os.close(handle)
    return None

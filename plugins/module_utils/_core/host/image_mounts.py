# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the programs of an image need of a running kernel, below the image's root while one of them runs.

This process gets mounts of its own first (CLONE_NEWNS), so that whatever ends it, a SIGKILL too, nothing stays mounted and no other
process has seen it.  sysfs is mounted read-only: what these programs ask of devices is not for this machine's.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

# include/uapi/linux/sched.h and mount.h
CLONE_NEWNS = 0x00020000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2
KERNEL = MS_NOSUID | MS_NODEV | MS_NOEXEC


class Mount(t.NamedTuple):
    """``source`` below an image's ``place``; ``remounted`` are flags that a second call sets, as a bind mount needs it."""

    place: str
    source: str
    kind: str
    flags: int
    remounted: int = 0


MOUNTS: t.Final = (
    Mount("/proc", "proc", "proc", KERNEL),
    Mount("/sys", "/sys", "", MS_BIND, MS_BIND | MS_REMOUNT | MS_RDONLY | KERNEL),
    Mount("/dev", "/dev", "", MS_BIND | MS_REC),
)
_ALONE: list[bool] = []
"""Whether this process has mounts of its own."""


@contextlib.contextmanager
def mounted(root: str) -> t.Iterator[None]:
    """Inside the `with` statement the kernel's file systems are below ``root``.  Raises HostError where that is not allowed."""
    _be_alone(root)
    done: list[str] = []
    try:
        for one in MOUNTS:
            place = _place(root, one.place)
            _mount(one.source, place, one.kind, one.flags)
            done.append(place)
            if one.remounted:
                _mount("", place, "", one.remounted)
        yield
    finally:
        for place in reversed(done):
            _call("umount2", place.encode(), MNT_DETACH)


def _be_alone(root: str) -> None:
    if _ALONE:
        return
    if _call("unshare", CLONE_NEWNS):
        raise HostError(
            f"The programs of {root} cannot be run here: this process may not mount anything ({os.strerror(ctypes.get_errno())}).",
            "Run this with the privileges of a machine's root, or in the image's own system.",
        )
    # What is mounted from here on is to be seen by nobody else.
    _mount("", "/", "", MS_REC | MS_PRIVATE)
    _ALONE.append(True)


def _place(root: str, path: str) -> str:
    """The image's own folder, which no link may have led elsewhere."""
    place = f"{root}{path}"
    if os.path.islink(place) or not os.path.isdir(place):
        raise HostError(f"{place} is not a directory, so that no program of the image can be run.", "Create it.")
    return place


def _mount(source: str, place: str, kind: str, flags: int) -> None:
    if _call("mount", source.encode() or None, place.encode(), kind.encode() or None, ctypes.c_ulong(flags), None):
        raise HostError(f"{source or 'A change of flags'} cannot be mounted at {place}: {os.strerror(ctypes.get_errno())}.")


def _call(name: str, *arguments: object) -> int:
    """A function of libc; other than 0 if it failed, with the reason in ctypes.get_errno()."""
    return int(getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments))

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the kernel has a disk open exclusively."""

from __future__ import annotations

import errno
import os

from ansible_collections.vfio.variants.plugins.module_utils._core.host.sysfs import in_child

# Without O_NONBLOCK a drive without a medium would be an error, and one with a tray would close it.
FLAGS = os.O_RDONLY | os.O_EXCL | os.O_NONBLOCK | os.O_CLOEXEC


def exclusively_open(node: str, timeout: float) -> bool | None:
    """Whether a mounted file system, an array, a pool, swap or another program has the disk; None if the kernel does not say.

    O_EXCL without O_CREAT fails with EBUSY then (open(2), bd_prepare_to_claim() in block/bdev.c).  A disk that does not answer can block
    the call, so a child process makes it.
    """
    code = in_child(lambda: os.close(os.open(node, FLAGS)), timeout)
    if code in (0, errno.ENOMEDIUM):
        return False
    return True if code == errno.EBUSY else None

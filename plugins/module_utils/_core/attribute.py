# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A write to the kernel that may never return, done by a child that can be left behind."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import struct


def write_in_child(path: str, data: bytes, timeout: float) -> int | None:
    """Write ``data`` to ``path`` in a child process: 0, the errno, or None when it did not end within ``timeout`` seconds.

    The child keeps none of this process's standard streams, so that a connection which waits for them to close ends
    even while the child still waits in the kernel.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # Whatever happens, the child must end here: it is a copy of the caller and would go on with the caller's work.
        try:
            _write_and_report(path, data, reader, writer)
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


def _write_and_report(path: str, data: bytes, reader: int, writer: int) -> None:
    code = 0
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        os.close(reader)
        target = os.open(path, os.O_WRONLY)
        os.write(target, data)
    except OSError as error:
        code = error.errno or errno.EIO
    # Nobody listens any more where the write took longer than the caller waited.
    with contextlib.suppress(BrokenPipeError):
        os.write(writer, struct.pack("i", code))

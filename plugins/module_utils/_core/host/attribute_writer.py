# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many bounded writes of sysfs attributes, by one process."""

from __future__ import annotations

import contextlib
import errno
import os
import struct

from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import uninterrupted
from ansible_collections.vfio.variants.plugins.module_utils._core.host.sysfs import ANSWER, Unfinished, answer_within, detach, kernel_stack

REQUEST = struct.Struct("II")
"""The lengths of a path and of what is written there."""


class AttributeWriter:
    """A child process that writes attributes one after the other, as `write_with_timeout()` does each in a child of its own.

    To copy a process costs more than most writes.  The child ends when its pipe is closed, with this process at the latest.
    """

    def __init__(self) -> None:
        self._child = 0
        self._pipes: tuple[int, int] = (-1, -1)
        """For the writes that are asked for, and for what the kernel said."""

    def write(self, path: str, data: bytes, timeout: float) -> int | Unfinished:
        """Returns 0, the errno, or what is left behind after ``timeout`` seconds; the next write has another child then."""
        if not self._child:
            self._begin()
        try:
            os.write(self._pipes[0], _request(path, data))
            answer = answer_within(self._pipes[1], timeout)
        except BrokenPipeError:
            answer = b""
        except BaseException:
            # What it still answers is about this write, not about one that undoes it.
            self._leave()
            raise
        if answer is None:
            child = self._leave()
            return Unfinished(child, kernel_stack(child))
        if len(answer) != ANSWER.size:
            self.close()
            return errno.EIO
        return int(ANSWER.unpack(answer)[0])

    def close(self) -> None:
        """End the child, which has nothing to do."""
        child = self._leave()
        if child:
            os.waitpid(child, 0)

    def _begin(self) -> None:
        requests, asks = os.pipe()
        answers, says = os.pipe()
        with uninterrupted():
            self._child = os.fork()
            if self._child == 0:
                try:
                    _write_what_is_asked_for(requests, says)
                finally:
                    os._exit(0)
        os.close(requests)
        os.close(says)
        self._pipes = (asks, answers)

    def _leave(self) -> int:
        """Let the child end as soon as it can; returns its process ID, 0 if there is none."""
        child, self._child = self._child, 0
        for handle in self._pipes if child else ():
            os.close(handle)
        return child


def _request(path: str, data: bytes) -> bytes:
    place = os.fsencode(path)
    return REQUEST.pack(len(place), len(data)) + place + data


def _write_what_is_asked_for(requests: int, says: int) -> None:
    detach(requests, says)
    with os.fdopen(requests, "rb") as asked:
        while True:
            head = asked.read(REQUEST.size)
            if len(head) < REQUEST.size:
                return
            length, size = REQUEST.unpack(head)
            path, data = asked.read(length), asked.read(size)
            code = 0
            try:
                handle = os.open(path, os.O_WRONLY)
                try:
                    os.write(handle, data)
                finally:
                    os.close(handle)
            except OSError as error:
                code = error.errno or errno.EIO
            # The caller has closed its end if the write took longer than its timeout.
            with contextlib.suppress(BrokenPipeError):
                os.write(says, ANSWER.pack(code))

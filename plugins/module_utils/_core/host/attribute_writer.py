# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many bounded writes of sysfs attributes, by one process."""

from __future__ import annotations

import errno
import mmap
import os
import select
import struct
import time
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import uninterrupted
from ansible_collections.vfio.variants.plugins.module_utils._core.host.sysfs import (
    ANSWER,
    StuckProcess,
    answer_within,
    detach,
    kernel_stack,
    write_with_timeout,
)

COUNT = struct.Struct("I")
"""How many writes are asked for together."""
REQUEST = struct.Struct("II")
"""The lengths of a path and of what is written there."""
PROGRESS = struct.Struct("Id")
"""How many of them are done, and when the last one was, by the monotonic clock."""


class WriteError(HostError):
    """A write that the kernel refused, or that did not end; ``done`` writes before it were done."""

    done = 0


class AttributeWriter:
    """A child process that writes attributes one after the other, as `write_with_timeout()` does each in a child of its own.

    To copy a process costs more than most writes, and so does to wake one up for each of several writes.  The child ends when its pipe
    is closed, with this process at the latest.
    """

    def __init__(self) -> None:
        self._child = 0
        self._pipes: tuple[int, int] = (-1, -1)
        """For the writes that are asked for, and for what the kernel said."""
        self._progress = mmap.mmap(-1, mmap.PAGESIZE)
        """Seen by both processes."""

    def write_all(self, writes: t.Sequence[tuple[str, bytes]], timeout: float) -> tuple[int, int | StuckProcess]:
        """Up to the first that fails; each may take ``timeout`` seconds.

        Returns how many were done, and 0, the errno, or what is left behind; the next writes have another child then.
        """
        if not self._child:
            self._begin()
        try:
            PROGRESS.pack_into(self._progress, 0, 0, time.monotonic())
            _send(self._pipes[0], COUNT.pack(len(writes)) + b"".join(_request(path, data) for path, data in writes))
            answer = self._answer(timeout)
        except BrokenPipeError:
            answer = b""
        except BaseException:
            # What it still answers is about these writes, not about those that undo them.
            self._leave()
            raise
        if answer is None:
            progress, child = self._progress, self._leave()
            # Only now: until then it may go on with the next write, which is the one that its stack tells of.
            done = self._done(progress)[0]
            return (done, 0) if done == len(writes) else (done, StuckProcess(child, kernel_stack(child)))
        done = self._done(self._progress)[0]
        if len(answer) != ANSWER.size:
            self.close()
            return done, errno.EIO
        return done, int(ANSWER.unpack(answer)[0])

    def _answer(self, timeout: float) -> bytes | None:
        """What the child says at the end of all; None if one of the writes takes longer than ``timeout`` seconds."""
        while True:
            _done, since = self._done(self._progress)
            answer = answer_within(self._pipes[1], max(0.0, since + timeout - time.monotonic()))
            if answer is not None or self._done(self._progress)[1] == since:
                return answer

    @staticmethod
    def _done(progress: mmap.mmap) -> tuple[int, float]:
        done, since = PROGRESS.unpack_from(progress)
        return int(done), float(since)

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
                    _write_what_is_asked_for(requests, says, self._progress)
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
        if child:
            # It still counts what it does in the old one.
            self._progress = mmap.mmap(-1, mmap.PAGESIZE)
        return child


def write_all(writer: AttributeWriter | None, writes: t.Sequence[tuple[str, str, str]], timeout: float) -> None:
    """Write attributes in order, each given by its path here, by the name that an error shows, and by its value.

    Without a ``writer`` each is written by a child of its own.  Raises WriteError, with ``facts["errno"]``, for the first that fails.
    """
    if writer is not None:
        done, code = writer.write_all([(path, value.encode()) for path, _shown, value in writes], timeout)
    else:
        done, code = 0, 0
        for path, _shown, value in writes:
            code = write_with_timeout(path, value.encode(), timeout)
            if code:
                break
            done += 1
    if code:
        error = _error(code, *writes[done][1:], timeout)
        error.done = done
        raise error


def _error(code: int | StuckProcess, shown: str, value: str, timeout: float) -> WriteError:
    if isinstance(code, StuckProcess):
        return WriteError(
            f"The kernel did not finish writing '{value}' to {shown} within {timeout:g} s: {code}.",
            facts={"errno": errno.ETIMEDOUT, "waiting": {"process": code.process, "stack": list(code.stack)}},
        )
    return WriteError(f"The kernel refused '{value}' for {shown}: {os.strerror(code)}.", facts={"errno": code})


def _request(path: str, data: bytes) -> bytes:
    place = os.fsencode(path)
    return REQUEST.pack(len(place), len(data)) + place + data


def _send(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def _write_what_is_asked_for(requests: int, says: int, progress: mmap.mmap) -> None:
    detach(requests, says)
    caller = select.poll()
    caller.register(says, 0)
    with os.fdopen(requests, "rb") as asked:
        while True:
            head = asked.read(COUNT.size)
            if len(head) < COUNT.size:
                return
            lengths = (REQUEST.unpack(asked.read(REQUEST.size)) for _write in range(COUNT.unpack(head)[0]))
            writes = [(asked.read(length), asked.read(size)) for length, size in lengths]
            code = 0
            for done, (path, data) in enumerate(writes, 1):
                code = _write(path, data)
                # The caller has closed its end if a write took longer than its timeout, and then wants no other.
                if code or caller.poll(0):
                    break
                PROGRESS.pack_into(progress, 0, done, time.monotonic())
            try:
                os.write(says, ANSWER.pack(code))
            except BrokenPipeError:
                return


def _write(path: bytes, data: bytes) -> int:
    """Returns 0 or the errno."""
    try:
        handle = os.open(path, os.O_WRONLY)
        try:
            os.write(handle, data)
        finally:
            os.close(handle)
    except OSError as error:
        return error.errno or errno.EIO
    return 0

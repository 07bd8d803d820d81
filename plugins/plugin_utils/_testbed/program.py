# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a program of this machine within a time limit."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import time
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

_TAIL_LINES = 25
_PATIENCE = 15.0


class ProgramFailedError(HostError):
    """It ended, and not well. ``output``: all that it wrote."""

    def __init__(self, words: t.Sequence[str], status: int, lines: list[str]) -> None:
        super().__init__(f"{' '.join(words[:3])} … failed with status {status}: {_tail(lines)}")
        self.output = "\n".join(lines)


def require(name: str, package: str) -> str:
    """The path of the program `name`; HostError names the Debian package that holds it."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        raise HostError(f"This machine has no program {name}, which the testbed needs.", f"Install it: apt-get install {package}")
    return path


def run(
    argv: t.Sequence[str | Path],
    *,
    timeout: float,
    on_line: t.Callable[[str], None] | None = None,
    on_wait: t.Callable[[], None] | None = None,
    env: t.Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run argv and return what it wrote (both streams).

    It runs in a process group of its own, all of which is killed at the time limit (seconds) or when this process is
    interrupted.  ``on_line`` hears each line, ``on_wait`` that there was none for a while.  Raises ProgramFailedError
    with the last lines of the output when it fails, and HostError when it has to be stopped.
    """
    words = [str(word) for word in argv]
    reader, writer = os.pipe()
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
            cwd=cwd,
            start_new_session=True,
        )
    finally:
        os.close(writer)
    lines: list[str] = []
    try:
        for line in _lines(reader, process, time.monotonic() + timeout, on_wait):
            lines.append(line)
            if on_line is not None:
                on_line(line)
    except TimeoutError:
        shown = _tail(lines)
        raise HostError(f"{words[0]} took more than {timeout:.0f} s and was stopped. Its last lines: {shown}", "Raise timeout.") from None
    finally:
        os.close(reader)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
    if status != 0:
        raise ProgramFailedError(words, status, lines)
    return "\n".join(lines)


def _lines(reader: int, process: subprocess.Popen[bytes], deadline: float, on_wait: t.Callable[[], None] | None) -> t.Iterator[str]:
    """What the process writes, line by line, until it ended; TimeoutError at the deadline."""
    buffer, waiting_since = b"", time.monotonic()
    while True:
        now = time.monotonic()
        if now > deadline:
            raise TimeoutError
        ready = select.select([reader], [], [], 0.2)[0]
        chunk = os.read(reader, 1 << 16) if ready else b""
        # Somebody who outlives the process may hold the pipe open: then its own end counts, not the pipe's.
        if not chunk and (ready or process.poll() is not None):
            break
        *complete, buffer = (buffer + chunk).split(b"\n")
        yield from (line.decode(errors="replace").rstrip() for line in complete)
        if complete:
            waiting_since = now
        elif on_wait is not None and now > waiting_since + _PATIENCE:
            waiting_since = now
            on_wait()
    if buffer:
        yield buffer.decode(errors="replace").rstrip()
    while process.poll() is None:
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)


def _tail(lines: list[str]) -> str:
    return "\n".join(lines[-_TAIL_LINES:]) or "(no output)"

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a program of this machine within a time limit."""

from __future__ import annotations

import collections
import os
import shutil
import signal
import subprocess
import threading
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.errors import HostError

_TAIL_LINES = 25


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
    env: t.Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run argv and return what it wrote (both streams).

    It runs in a process group of its own, all of which is killed at the time limit (seconds) or when this process is
    interrupted.  Raises HostError with the last lines of the output when it fails.
    """
    words = [str(word) for word in argv]
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
        cwd=cwd,
        start_new_session=True,
    )
    timed_out = threading.Event()

    def give_up() -> None:
        timed_out.set()
        _kill_group(process)

    limit = threading.Timer(timeout, give_up)
    limit.start()
    lines: collections.deque[str] = collections.deque(maxlen=100_000)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if on_line is not None:
                on_line(line.rstrip())
        status = process.wait()
    except BaseException:
        _kill_group(process)
        raise
    finally:
        limit.cancel()
    output = "".join(lines)
    if timed_out.is_set():
        raise HostError(f"{words[0]} took more than {timeout:.0f} s and was stopped. Its last lines: {_tail(output)}", "Raise timeout.")
    if status != 0:
        raise HostError(f"{' '.join(words[:3])} … failed with status {status}: {_tail(output)}")
    return output


def _kill_group(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _tail(output: str) -> str:
    return "\n".join(output.strip().splitlines()[-_TAIL_LINES:]) or "(no output)"

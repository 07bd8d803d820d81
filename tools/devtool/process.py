# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs other programs: with a time limit, in a process group of their own that ends with them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from devtool.console import say, stay_silent
from devtool.errors import DevtoolError

GRACE_SECONDS = 30
STRAGGLER_SECONDS = 3
TIMED_OUT = 124
_RUNNING: set[subprocess.Popen[str]] = set()


@dataclass(frozen=True)
class Ended:
    """How a program ended; `output` is what it printed, standard error included."""

    code: int
    output: tuple[str, ...]


def end_group(process: subprocess.Popen[str]) -> None:
    """Ask the whole process group to end, and insist after a while."""
    for number, patience in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, GRACE_SECONDS)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
        if number == signal.SIGTERM:
            time.sleep(0.2)


def end_running() -> None:
    """End whatever other threads run."""
    for process in list(_RUNNING):
        end_group(process)


def stream(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], seconds: float, show: Callable[[str], None] = say) -> Ended:
    """Run a program and show its output line by line while it runs.

    The output goes through a pipe, so that programs print plain lines: no colours and no progress bars.
    """
    try:
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except OSError as problem:
        raise DevtoolError(f"{argv[0]} cannot be run: {problem.strerror or problem}") from problem
    _RUNNING.add(process)
    lines: list[str] = []
    reader = Thread(target=_read, args=(process, lines, show), daemon=True)
    reader.start()
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        end_group(process)
        code = TIMED_OUT
    except BaseException:
        end_group(process)
        raise
    finally:
        _RUNNING.discard(process)
    # What the program left in the background may hold the pipe open; its output is not needed any more.
    reader.join(STRAGGLER_SECONDS)
    if code == TIMED_OUT:
        show(f"{argv[0]}: ended after its time limit of {seconds:.0f} s")
    return Ended(code, tuple(lines))


def _read(process: subprocess.Popen[str], lines: list[str], show: Callable[[str], None]) -> None:
    with process.stdout or nullcontext(()) as output:
        for line in output:
            lines.append(line.rstrip("\n"))
            show(lines[-1])


def capture(argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None, seconds: float = 60) -> str:
    """What a program prints on standard output; an error if it fails."""
    try:
        done = subprocess.run(
            list(argv),
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise DevtoolError(f"{' '.join(argv)}: {problem}") from problem
    if done.returncode != 0:
        raise DevtoolError(f"{' '.join(argv)} failed ({done.returncode}): {done.stderr.strip()[-2000:]}")
    return done.stdout


def attempt(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], seconds: float, tries: int = 3) -> None:
    """Run a program that depends on the network: quiet when it works, tried again when it does not."""
    for number in range(1, tries + 1):
        ended = stream(argv, cwd=cwd, env=env, seconds=seconds, show=stay_silent)
        if ended.code == 0:
            return
        if number < tries:
            say(f"  {argv[0]} failed ({ended.code}), trying again in {5 * number} s")
            time.sleep(5 * number)
    tail = "\n".join(ended.output[-20:])
    raise DevtoolError(f"{' '.join(argv)} failed {tries} times ({ended.code}):\n{tail}")

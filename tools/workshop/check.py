# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A check: one program whose exit code says whether all is well, and how many tests it stands for."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from workshop.console import duration, say
from workshop.process import TIMED_OUT, stream

PASSED = re.compile(r"\b(\d+) passed\b")
FAILED = re.compile(r"\b(\d+) (?:failed|errors?)\b")


@dataclass(frozen=True)
class Check:
    """A program to run.

    `counts` says that its closing line counts tests, as in "12 passed, 1 failed"; otherwise it is one test itself.
    `cleanup` is run when the program was cut off and could not tidy up after itself.
    """

    name: str
    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    seconds: float = 1800
    counts: bool = False
    cleanup: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    name: str
    passed: int
    failed: int
    seconds: float = 0.0
    why: str = field(default="", compare=False)


def tally(lines: tuple[str, ...]) -> tuple[int, int]:
    """Tests passed and failed, from the last line that counts them."""
    for line in reversed(lines):
        counted = PASSED.search(line), [int(number) for number in FAILED.findall(line)]
        if counted[0] or counted[1]:
            return int(counted[0].group(1)) if counted[0] else 0, sum(counted[1])
    return 0, 0


def judge(check: Check, code: int, lines: tuple[str, ...], seconds: float) -> Result:
    """The result of a program that ended with this code after printing these lines."""
    if not check.counts:
        return Result(check.name, int(code == 0), int(code != 0), seconds, "" if code == 0 else f"exit code {code}")
    passed, failed = tally(lines)
    if code == 0 and passed + failed == 0:
        return Result(check.name, 0, 1, seconds, "no test was run")
    if (code == 0) != (failed == 0):
        # It broke outside any test it counted, or passed over a failure: one more failure than it says.
        return Result(check.name, passed, failed + 1, seconds, f"exit code {code} with {failed} failed")
    return Result(check.name, passed, failed, seconds, f"{failed} failed" if failed else "")


def run(check: Check) -> Result:
    """Run a check with its output on the screen."""
    say(f"-- {check.name}")
    start = time.monotonic()
    ended = stream(check.argv, cwd=check.cwd, env=check.env, seconds=check.seconds)
    if ended.code == TIMED_OUT and check.cleanup:
        stream(check.cleanup, cwd=check.cwd, env=check.env, seconds=300)
    result = judge(check, ended.code, ended.output, time.monotonic() - start)
    say(f"-- {check.name}: {'FAILED, ' + result.why if result.failed else 'ok'} ({duration(result.seconds)})")
    return result

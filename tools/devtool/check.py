# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A check: one program whose exit code says whether all is well, and how many tests it stands for."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import (
    EXIT_STATUS,
    MARK,
    in_pip_output,
    is_replaced,
    named_in,
)
from devtool.console import duration, say
from devtool.process import TIMED_OUT, stream

PASSED = re.compile(r"\b(\d+) passed\b")
FAILED = re.compile(r"\b(\d+) (?:failed|errors?)\b")
# How pytest and Ansible begin a line that names a failure.
FAILURE = re.compile(r"(?:FAILED|ERROR) \S+::|\[ERROR\]: ")
SHORT = "the archive left less than the floor"


@dataclass(frozen=True)
class Check:
    """A program to run.

    `counts` says that its closing line counts tests, as in "12 passed, 1 failed"; otherwise it is one test itself.
    `cleanup` is run when the program was cut off and could not clean up after itself. `downloads`: it runs pip, whose messages are
    in its output. `lane`: checks of different lanes can run side by side.
    """

    name: str
    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    seconds: float = 1800
    counts: bool = False
    cleanup: tuple[str, ...] = ()
    downloads: bool = False
    lane: str = ""


@dataclass(frozen=True)
class Result:
    """`unavailable`: what an archive did not deliver, by name. `short`: for that reason less was tested than has to be."""

    name: str
    passed: int
    failed: int
    seconds: float = 0.0
    why: str = field(default="", compare=False)
    unavailable: tuple[str, ...] = ()
    short: bool = False


def counts_in(lines: tuple[str, ...]) -> tuple[int, int]:
    """Tests passed and failed, from the last line that counts them."""
    for line in reversed(lines):
        counted = PASSED.search(line), [int(number) for number in FAILED.findall(line)]
        if counted[0] or counted[1]:
            return int(counted[0].group(1)) if counted[0] else 0, sum(counted[1])
    return 0, 0


def judge(check: Check, code: int, lines: tuple[str, ...], seconds: float) -> Result:
    """The result of a program that ended with this code after printing these lines."""
    names = named_in(lines)
    if not check.counts:
        missing = _to_blame(check, lines) if code else ()
        if missing:
            return Result(check.name, 0, 0, seconds, SHORT, tuple(dict.fromkeys((*names, *missing))), short=True)
        return Result(check.name, int(code == 0), int(code != 0), seconds, "" if code == 0 else f"exit code {code}", names)
    passed, failed = counts_in(lines)
    if code == EXIT_STATUS and failed == 0 and names:
        return Result(check.name, passed, 0, seconds, SHORT, names, short=True)
    if code == 0 and passed + failed == 0:
        return Result(check.name, 0, 1, seconds, "no test was run", names)
    if (code == 0) != (failed == 0):
        # It broke outside any test it counted, or passed over a failure: one more failure than it says.
        return Result(check.name, passed, failed + 1, seconds, f"exit code {code} with {failed} failed", names)
    return Result(check.name, passed, failed, seconds, f"{failed} failed" if failed else "", names)


def _to_blame(check: Check, lines: tuple[str, ...]) -> tuple[str, ...]:
    """What was missing and not replaced, when that explains all that a program which does not count says of its failure."""
    if any(FAILURE.match(line) and MARK not in line for line in lines):
        return ()
    missing = tuple(name for name in named_in(lines) if not is_replaced(name))
    return missing or (tuple(str(one) for one in in_pip_output("\n".join(lines))) if check.downloads else ())


def _clean_up(check: Check, show: Callable[[str], None]) -> None:
    if check.cleanup:
        stream(check.cleanup, cwd=check.cwd, env=check.env, seconds=300, show=show)


def run(check: Check, show: Callable[[str], None] = say) -> Result:
    """Run a check with its output on the screen, or where `show` puts it."""
    show(f"-- {check.name}")
    start = time.monotonic()
    try:
        ended = stream(check.argv, cwd=check.cwd, env=check.env, seconds=check.seconds, show=show)
    except BaseException:
        _clean_up(check, show)
        raise
    # A negative one is that of a signal, as where another lane was interrupted.
    if ended.code == TIMED_OUT or ended.code < 0:
        _clean_up(check, show)
    result = judge(check, ended.code, ended.output, time.monotonic() - start)
    ending = f"FAILED, {result.why}" if result.failed else result.why if result.short else "ok"
    show(f"-- {check.name}: {ending} ({duration(result.seconds)})")
    return result

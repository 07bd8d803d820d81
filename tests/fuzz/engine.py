# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Targets under the coverage-guided fuzzer (atheris, on libFuzzer): the code is instrumented once, then each has a process of its own."""

from __future__ import annotations

import ctypes
import importlib
import os
import re
import signal
import sys
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.vfio.variants.tests.fuzz import corpus_files as corpus
from ansible_collections.vfio.variants.tests.fuzz.target import MEBIBYTES, SECONDS, Target

INSTRUMENTED = ["ansible_collections.vfio.variants.plugins", "jmespath", "json"]
EXECUTED = re.compile(r"^stat::number_of_executed_units:\s*(\d+)", re.MULTILINE)
FOUND = re.compile(r"Test unit written to (\S+)")
# What libFuzzer itself takes to end after its time, on a busy machine.
GRACE = 120


@dataclass(frozen=True)
class Outcome:
    """``finding`` is the input that was answered wrongly, and ``why``; ``log`` has all that was said."""

    target: str
    runs: int
    finding: bytes | None
    why: str
    log: Path


Targets = t.Mapping[str, Target]


def instrumented() -> Targets:
    """The targets by name, with the code that they reach reporting which of its branches it takes.  Raises ImportError without atheris."""
    import atheris  # type: ignore[import-untyped]

    with atheris.instrument_imports(include=INSTRUMENTED, enable_loader_override=False):
        found: Targets = importlib.import_module("ansible_collections.vfio.variants.tests.fuzz.targets").BY_NAME
    return found


def run(target: Target, seconds: int, seed: int, folder: Path) -> Outcome:
    """Fuzz a target for so many seconds, or until it answers wrongly."""
    here = folder / corpus.path_of(target.name).stem
    inputs = here / "inputs"
    inputs.mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(corpus.read(target.name)):
        (inputs / f"kept-{number}").write_bytes(one.data)
    log = here / "log"
    limits = [f"-timeout={SECONDS}", f"-rss_limit_mb={MEBIBYTES}", f"-max_len={target.longest}", f"-max_total_time={seconds}"]
    arguments = [*limits, f"-seed={seed}", f"-artifact_prefix={here}/", "-print_final_stats=1", str(inputs)]
    child = os.fork()
    if child == 0:
        _fuzz(target, arguments, log)
    _await(child, seconds + GRACE)
    said = log.read_text(encoding="utf-8", errors="replace")
    found, runs = FOUND.search(said), EXECUTED.search(said)
    why = next((line for line in said.splitlines() if "Error" in line or "ERROR: libFuzzer" in line), "")
    return Outcome(target.name, int(runs[1]) if runs else 0, Path(found[1]).read_bytes() if found else None, why[:300], log)


def _fuzz(target: Target, arguments: t.Sequence[str], log: Path) -> t.NoReturn:
    import atheris

    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    code = 1
    try:
        atheris.Setup([sys.argv[0], *arguments], target)
        atheris.Fuzz()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    # The C library's exit: libFuzzer writes the input that it ended with, and nothing of the caller's is unwound.
    ctypes.CDLL(None).exit(code)
    os._exit(code)


def _await(child: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return
        time.sleep(0.1)


def shrunk(target: Target, data: bytes, tries: int = 400) -> bytes:
    """A smaller input that is answered wrongly in the same way; the same one where that is not an exception."""
    wanted = _answer(target, data)
    size = max(1, len(data) // 2)
    while wanted is not None and size and tries > 0:
        at = 0
        while at < len(data) and tries > 0:
            shorter = data[:at] + data[at + size :]
            tries -= 1
            if _answer(target, shorter) == wanted:
                data = shorter
            else:
                at += size
        size //= 2
    return data


def _answer(target: Target, data: bytes) -> str | None:
    try:
        target(data)
    except Exception as error:
        last = error.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        return f"{type(error).__name__} at {last and last.tb_frame.f_code.co_name}"
    return None

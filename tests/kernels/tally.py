# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs checks, says how each ended, and counts. A check that passed is not run again until what it is about changes."""

from __future__ import annotations

import hashlib
import re
import threading
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from build_root import BuildRoot
from package import CheckError, Package
from target import Target

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.cache import write_atomic

#: Returns what it found; nothing when the kernel has nothing that it is about, which nobody is told. Raises CheckError.
Check = t.Callable[[Package, BuildRoot, Target], str]


@dataclass
class Tally:
    """`known`: the folder of what passed before. `again`: run all the same. `say` is called by several threads."""

    known: Path
    again: bool
    say: t.Callable[[str], None]
    passed: int = 0
    failed: int = 0
    _used: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.known.mkdir(parents=True, exist_ok=True)

    def repeat(self, target: Target, kernel: str, package: Package, check: Check) -> bool:
        """Whether the check's result is known from before. It counts the first time that this is asked."""
        path = self._path(target, kernel, package, check)
        if path.name in self._used:
            return True
        if self.again or not path.is_file():
            return False
        self._end(path, _name(target, package, check), f"{path.read_text(encoding='utf-8')}; known from before")
        return True

    def run(self, target: Target, kernel: str, package: Package, check: Check, root: BuildRoot) -> None:
        path = self._path(target, kernel, package, check)
        name = _name(target, package, check)
        start = time.monotonic()
        try:
            result = check(package, root, target)
        except CheckError as failure:
            self.fail(name, f"\n{failure}")
            return
        write_atomic(path, result)
        self._end(path, name, f"{result} ({time.monotonic() - start:.0f} s)")

    def result(self, target: Target, kernel: str, package: Package, check: Check) -> str | None:
        """What a check of this run came to; None when it failed."""
        path = self._path(target, kernel, package, check)
        return path.read_text(encoding="utf-8") if path.name in self._used else None

    def succeed(self, name: str, result: str) -> None:
        with self._lock:
            self.passed += 1
            self.say(f"{name}: ok, {result}")

    def fail(self, name: str, reason: str) -> None:
        with self._lock:
            self.failed += 1
            self.say(f"{name}: FAILED {reason}")

    def forget_others(self) -> None:
        """Remove the results of kernels, packages and checks that are no more."""
        for path in self.known.iterdir():
            if path.name not in self._used:
                path.unlink()

    def _end(self, path: Path, name: str, result: str) -> None:
        with self._lock:
            self._used.add(path.name)
        if path.read_text(encoding="utf-8"):
            self.succeed(name, result)

    def _path(self, target: Target, kernel: str, package: Package, check: Check) -> Path:
        key = hashlib.sha256(f"{kernel} {package.digest()}".encode()).hexdigest()[:16]
        return self.known / f"{re.sub(r'[^A-Za-z0-9.+]+', '-', _name(target, package, check))}.{key}"


def _name(target: Target, package: Package, check: Check) -> str:
    return f"{target.name}: {package.name} {check.__name__.replace('_', ' ')}"

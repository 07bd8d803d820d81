# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs checks, says how each ended, and counts. A check that passed is not run again until what it is about changes."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

import floor
from build_root import BuildRoot
from package import CheckError, Package
from target import Target

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import EXIT_STATUS, MissingPackage, marked
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import write_atomic

_KEPT = 14 * 24 * 3600
#: An architecture and a series of kernels.
Kind = tuple[str, str]
#: Returns what it found; nothing when the kernel has nothing that it is about, which is not shown. Raises CheckError.
Check = t.Callable[[Package, BuildRoot, Target], str]


@dataclass
class Counts:
    """`known`: the folder of what passed before. `again`: run all the same. `say` is called by several threads."""

    known: Path
    again: bool
    say: t.Callable[[str], None]
    passed: int = 0
    failed: int = 0
    _used: set[str] = field(default_factory=set)
    _covered: set[Kind] = field(default_factory=set)
    _missing: set[str] = field(default_factory=set)
    _untested: set[Kind] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.known.mkdir(parents=True, exist_ok=True)

    def repeat(self, target: Target, kernel: str, package: Package, check: Check) -> bool:
        """Whether the check's result is known from before. It counts the first time that this is asked."""
        path = self.path(target, kernel, package, check)
        if path.name in self._used:
            return True
        if self.again or not path.is_file():
            return False
        self._end(path, _name(target, package, check), f"{path.read_text(encoding='utf-8')}; known from before")
        return True

    def run(self, target: Target, kernel: str, package: Package, check: Check, root: BuildRoot) -> bool:
        """Whether it passed."""
        path = self.path(target, kernel, package, check)
        name = _name(target, package, check)
        start = time.monotonic()
        try:
            result = check(package, root, target)
        except CheckError as failure:
            self.fail(name, f"\n{failure}")
            return False
        write_atomic(path, result)
        self._end(path, name, f"{result} ({time.monotonic() - start:.0f} s)")
        return True

    def result(self, target: Target, kernel: str, package: Package, check: Check) -> str | None:
        """What a check of this run came to; None when it failed, or was not run."""
        path = self.path(target, kernel, package, check)
        return path.read_text(encoding="utf-8") if path.name in self._used else None

    def succeed(self, name: str, result: str) -> None:
        with self._lock:
            self.passed += 1
            self.say(f"{name}: ok, {result}")

    def fail(self, name: str, reason: str) -> None:
        with self._lock:
            self.failed += 1
            self.say(f"{name}: FAILED {reason}")

    def cover(self, architecture: str, series: str) -> None:
        """Everything that a real kernel of this series is about has passed."""
        with self._lock:
            self._covered.add((architecture, series))

    def lack(self, missing: t.Iterable[MissingPackage], what: str, instead: str = "", about: t.Iterable[Kind] = ()) -> None:
        """Something of the archive could not be had: so `what`, which is `about` these, is not tested, or something `instead` is."""
        with self._lock:
            for line in (marked(one, instead) for one in missing):
                if line not in self._missing:
                    self._missing.add(line)
                    self.say(line)
            if not instead:
                self._untested.update(about)
                self.say(f"{what}: not tested")

    @property
    def is_complete(self) -> bool:
        """Whether nothing was missing."""
        return not self._missing

    def end(self, wanted: t.Sequence[str]) -> int:
        """Say what came of it all; the program's exit status. `wanted`: the only series that were asked for, if not all."""
        missed = floor.missed_builds(self._covered)
        if wanted:
            missed = [kind for kind in missed if kind[1] in wanted and kind[0] == "amd64"]
        for architecture, series in missed:
            if not any(floor.is_of(*kind, (architecture, series)) for kind in self._untested) and not self.failed:
                self.fail(f"Linux {series} for {architecture}", "nothing of it was tested, and nothing that it takes was missing")
        covered = sorted(self._covered, key=lambda kind: (kind[0], *map(int, kind[1].split("."))))
        self.say(f"covered: {', '.join(' '.join(kind) for kind in covered) or 'no kernel'}")
        if missed and not self.failed:
            names = ", ".join(f"Linux {series} for {architecture}" for architecture, series in missed)
            self.say(f"less than the floor, as the archive is today: no kernel was tested of {names}")
        self.say(f"{self.passed} passed, {self.failed} failed")
        if self.failed or not (self.passed or self._missing):
            return 1
        return EXIT_STATUS if missed or not self.passed else 0

    def forget_old(self) -> None:
        """Remove the results of kernels, packages and checks that have not been asked for lately."""
        for path in self.known.iterdir():
            if path.name not in self._used and path.stat().st_mtime < time.time() - _KEPT:
                path.unlink()

    def _end(self, path: Path, name: str, result: str) -> None:
        # When it was asked for last.
        os.utime(path)
        with self._lock:
            self._used.add(path.name)
        if path.read_text(encoding="utf-8"):
            self.succeed(name, result)

    def path(self, target: Target, kernel: str, package: Package, check: Check) -> Path:
        """Where the result of a check is kept."""
        key = hashlib.sha256(f"{kernel} {package.digest()}".encode()).hexdigest()[:16]
        return self.known / f"{re.sub(r'[^A-Za-z0-9.+]+', '-', _name(target, package, check))}.{key}"


def _name(target: Target, package: Package, check: Check) -> str:
    return f"{target.name}: {package.name} {check.__name__.replace('_', ' ')}"

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a result depends on, and what is known of a state that differs in files of tests alone."""

from __future__ import annotations

import hashlib
import json
import sys
import typing as t
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.vfio.variants.tests.mutants.reach import ROOT, used_tests

TESTS: t.Final = "tests/unit"
_SHARED: t.Final = ("plugins", TESTS, "tests/mutants", "tests/forecast", "files", "tools", "docs", "molecule")


@dataclass(frozen=True)
class State:
    """``base`` stands for the core, what several tests share, the files that both read, and this tool; ``tests`` has each file of tests."""

    base: str
    tests: t.Mapping[str, str]

    @property
    def name(self) -> str:
        return _digest([self.base, *(f"{file} {digest}" for file, digest in sorted(self.tests.items()))])

    def other_files(self, earlier: State) -> frozenset[str]:
        """The files of tests that are not as they were in an earlier state."""
        return frozenset(file for file, digest in self.tests.items() if earlier.tests.get(file) != digest)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps({"base": self.base, "tests": self.tests}), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> State:
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def state_of_the_tree(below: Sequence[str] = (TESTS,)) -> State:
    """The tests are those ``below`` these paths; this tool's own ones start processes of their own and run nothing of the core."""
    return State(_digest([sys.version, *_of_shared_files()]), {file: _of_test_file(file) for file in _test_files(below)})


def _test_files(below: Sequence[str]) -> Iterator[str]:
    for path in sorted(
        {path for place in below for path in ((ROOT / place).rglob("test_*.py") if (ROOT / place).is_dir() else [ROOT / place])}
    ):
        if not path.is_relative_to(ROOT / TESTS / "tests/mutants"):
            yield str(path.relative_to(ROOT))


def _of_shared_files() -> Iterator[str]:
    for folder in _SHARED:
        for path in sorted((ROOT / folder).rglob("*")):
            is_test = folder == TESTS and path.name.startswith("test_") and path.suffix == ".py"
            if path.is_file() and "__pycache__" not in path.parts and path.name != "equivalents.yml" and not is_test:
                yield f"{path.relative_to(ROOT)} {_of_file(path)}"


def _of_test_file(file: str) -> str:
    """With the files of tests that it takes something from."""
    return _digest([_of_file(path) for path in used_tests(ROOT / file)])


def _of_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

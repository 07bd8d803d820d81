# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which unit tests run which lines of the core, and how long each test takes: measured once for a state of the tree."""

from __future__ import annotations

import ast
import functools
import json
import sys
import time
import typing as t
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import coverage
import pytest

from ansible_collections.vfio.variants.tests.mutants.source import CORE, Mutant

ROOT: t.Final = CORE.parents[2]
COLLECTION: t.Final = "ansible_collections.vfio.variants."
PACKAGE: t.Final = f"{COLLECTION}plugins.module_utils._core"
_AT_IMPORT: t.Final = ""


@dataclass(frozen=True)
class Reach:
    """``seconds`` are those of each test; ``lines`` has for each file and line the tests that run it, "" for its import."""

    seconds: Mapping[str, float]
    lines: Mapping[str, Mapping[int, frozenset[str]]]

    def tests(self, mutant: Mutant) -> frozenset[str]:
        """The tests that can notice a mutant.

        What runs when a module is imported has an effect on every test that uses the module or one that imports from it, and
        may do so by its constants alone.
        """
        first, last = mutant.lines
        here = self.lines.get(mutant.file, {})
        found = frozenset[str]().union(*(tests for line, tests in here.items() if first <= line <= last))
        if mutant.in_function and _AT_IMPORT not in found:
            return found
        files = (mutant.file, *importers().get(mutant.file, ()))
        found = found.union(*(tests for file in files for tests in self.lines.get(file, {}).values())) - {_AT_IMPORT}
        return found | {test for test in self.seconds if mutant.file in used_by(file_of(test))}

    def of(self, files: Collection[str]) -> Reach:
        """What is known of the tests in these files."""
        seconds = {test: taken for test, taken in self.seconds.items() if file_of(test) in files}
        kept = {
            file: {line: frozenset(test for test in tests if not test or test in seconds) for line, tests in found.items()}
            for file, found in self.lines.items()
        }
        return Reach(seconds, kept)

    def joined(self, other: Reach) -> Reach:
        lines: dict[str, dict[int, frozenset[str]]] = {file: dict(found) for file, found in self.lines.items()}
        for file, found in other.lines.items():
            here = lines.setdefault(file, {})
            here.update({line: here.get(line, frozenset()) | tests for line, tests in found.items()})
        return Reach({**self.seconds, **other.seconds}, lines)

    def write(self, path: Path) -> None:
        numbers = {test: number for number, test in enumerate(self.seconds)}
        numbers[_AT_IMPORT] = -1
        lines = {
            file: {line: sorted(numbers[test] for test in tests) for line, tests in found.items()} for file, found in self.lines.items()
        }
        new = path.with_name(f"{path.name}.new")
        new.write_text(json.dumps({"tests": list(self.seconds.items()), "lines": lines}), encoding="utf-8")
        new.replace(path)

    @classmethod
    def read(cls, path: Path) -> Reach:
        content = json.loads(path.read_text(encoding="utf-8"))
        names = [name for name, _seconds in content["tests"]]
        names.append(_AT_IMPORT)
        lines = {
            file: {int(line): frozenset(names[number] for number in tests) for line, tests in found.items()}
            for file, found in content["lines"].items()
        }
        return cls({name: float(seconds) for name, seconds in content["tests"]}, lines)


def file_of(test: str) -> str:
    return test.partition("::")[0]


@functools.cache
def importers() -> Mapping[str, frozenset[str]]:
    """The core's files that import from each of its files."""
    found: dict[str, set[str]] = {}
    for path in sorted(CORE.rglob("*.py")):
        for other in _imports(path):
            if other.is_relative_to(CORE):
                found.setdefault(str(other.relative_to(CORE)), set()).add(str(path.relative_to(CORE)))
    return {file: frozenset(files) for file, files in found.items()}


@functools.cache
def used_by(test_file: str) -> frozenset[str]:
    """The core's files that a test's file imports from, by itself or through files that are not of the core."""
    waiting, seen = [ROOT / test_file], set[Path]()
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += [] if path.is_relative_to(CORE) else _imports(path)
    return frozenset(str(path.relative_to(CORE)) for path in seen if path.is_relative_to(CORE))


def used_tests(test_file: Path) -> tuple[Path, ...]:
    """A file of tests and those that it imports from."""
    found = [test_file]
    for path in found:
        found += [other for other in _imports(path) if other.name.startswith("test_") and other not in found]
    return tuple(found)


@functools.cache
def _imports(path: Path) -> tuple[Path, ...]:
    """The collection's own files that one of them imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    inside = (name.removeprefix(COLLECTION).replace(".", "/") for name in sorted(names) if name.startswith(COLLECTION))
    return tuple(file for file in (ROOT / f"{name}.py" for name in inside) if file.is_file())


@dataclass(eq=False)
class Recorder:
    """A pytest plugin that runs the tests of a session under coverage, each as a context of its own."""

    measured: coverage.Coverage = field(default_factory=lambda: coverage.Coverage(data_file=None, source=[str(CORE)], messages=False))
    seconds: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> t.Generator[None, object, object]:
        _forget_answers()
        self.measured.switch_context(item.nodeid)
        start = time.perf_counter()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = round(time.perf_counter() - start, 4)
            self.measured.switch_context(_AT_IMPORT)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def reach(self) -> Reach:
        """What was seen."""
        data = self.measured.get_data()
        lines = {
            below: {line: frozenset(tests) for line, tests in data.contexts_by_lineno(path).items()}
            for path in data.measured_files()
            for below in _below_the_core(path)
        }
        return Reach(self.seconds, lines)


def _below_the_core(path: str) -> Iterator[str]:
    """Found under whatever name the collection was imported."""
    _before, core, below = path.partition("/plugins/module_utils/_core/")
    if core:
        yield below


def _forget_answers() -> None:
    """Empties the core's caches: a function whose answer is kept would seem to be run by one test alone."""
    for name, module in list(sys.modules.items()):
        if name.startswith(PACKAGE):
            for value in list(vars(module).values()):
                for function in (value, *(vars(value).values() if isinstance(value, type) else ())):
                    if isinstance(function, functools._lru_cache_wrapper):
                        function.cache_clear()

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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import coverage
import pytest

from ansible_collections.vfio.variants.tests.mutants.source import CORE, Mutant

PACKAGE: t.Final = "ansible_collections.vfio.variants.plugins.module_utils._core"
_AT_IMPORT: t.Final = ""


@dataclass(frozen=True)
class Reach:
    """``seconds`` are those of each test; ``lines`` has for each file and line the tests that run it, "" for its import."""

    seconds: Mapping[str, float]
    lines: Mapping[str, Mapping[int, frozenset[str]]]

    def tests(self, mutant: Mutant) -> frozenset[str]:
        """The tests that can notice a mutant.

        What runs when a module is imported has an effect on every test that uses the module or one that imports from it.
        """
        first, last = mutant.lines
        here = self.lines.get(mutant.file, {})
        found = frozenset[str]().union(*(tests for line, tests in here.items() if first <= line <= last))
        if mutant.in_function and _AT_IMPORT not in found:
            return found
        files = (mutant.file, *importers().get(mutant.file, ()))
        return found.union(*(tests for file in files for tests in self.lines.get(file, {}).values())) - {_AT_IMPORT}

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


@functools.cache
def importers() -> Mapping[str, frozenset[str]]:
    """The core's files that import from each of its files."""
    found: dict[str, set[str]] = {}
    for path in sorted(CORE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith(PACKAGE):
                below = node.module[len(PACKAGE) + 1 :]
                for module in (below, *(f"{below}.{name.name}".lstrip(".") for name in node.names)):
                    found.setdefault(f"{module.replace('.', '/')}.py", set()).add(str(path.relative_to(CORE)))
    return {file: frozenset(files) for file, files in found.items()}


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
        """What was seen; tests that run nothing of the core are left out."""
        data = self.measured.get_data()
        lines = {
            below: {line: frozenset(tests) for line, tests in data.contexts_by_lineno(path).items()}
            for path in data.measured_files()
            for below in _below_the_core(path)
        }
        used = frozenset[str]().union(*(tests for found in lines.values() for tests in found.values()))
        return Reach({test: seconds for test, seconds in self.seconds.items() if test in used}, lines)


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

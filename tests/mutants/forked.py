# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mutants put to tests that were collected once: each in a fork of that process, in which the mistake is made.

That is many times quicker than a process that imports everything for each.  What ran at import did so without the mistake, so a
mutant outside functions that is missed here is tried again in a process of its own.
"""

from __future__ import annotations

import ast
import os
import time
import typing as t
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.tests.mutants.entries import Entries
from ansible_collections.vfio.variants.tests.mutants.exchange import make_mistake
from ansible_collections.vfio.variants.tests.mutants.reach import ROOT, Reach, core_path, file_of, forget_answers
from ansible_collections.vfio.variants.tests.mutants.source import CORE, Mutant
from ansible_collections.vfio.variants.tests.mutants.trial import NOTICED, SURVIVED, Outcome, TrialError

if t.TYPE_CHECKING:
    from types import CodeType

CANNOT = "cannot be exchanged"


@dataclass(eq=False)
class Session:
    """A pytest plugin that collects tests and, in place of running them, does ``work``."""

    work: Callable[[Session], None]
    items: Mapping[str, pytest.Item] = field(default_factory=dict)
    failed: str = ""
    error: BaseException | None = None

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = {item.nodeid: item for item in session.items}
        try:
            self.work(self)
        except BaseException as error:
            self.error = error
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def run(self, tests: Sequence[str], folder: Path, before: Callable[[str], None] | None = None) -> str:
        """The first of the tests that fails, empty if none does.  Call it in a child."""
        chosen = [self.items[test] for test in tests if test in self.items]
        if chosen:
            factory = chosen[0].config._tmp_path_factory  # type: ignore[attr-defined]
            factory._basetemp, factory._given_basetemp = None, folder / "files"
        for item, following in zip(chosen, [*chosen[1:], None], strict=True):
            if before is not None:
                before(item.nodeid)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed:
                return self.failed
        return ""

    def put_to_tests(self, mutant: Mutant, text: str, tests: Sequence[str], folder: Path) -> Outcome:
        """What the tests say of a mistake.  Call it in a child."""
        forget_answers()
        try:
            if not make_mistake(mutant, text):
                return Outcome(SURVIVED, CANNOT)
        except TrialError:
            raise
        except Exception as error:
            return Outcome(NOTICED, f"the import: {type(error).__name__}")
        noticed = self.run(tests, folder)
        return Outcome(NOTICED, noticed) if noticed else Outcome(SURVIVED)

    def record(self, files: Collection[str], path: Path, folder: Path) -> Outcome:
        """Write which of the files' tests enter which functions, and how long each test takes.  Call it in a child."""
        entered: dict[str, set[CodeType]] = {}
        began: dict[str, float] = {}
        entries = Entries()

        def before(test: str) -> None:
            entries.restart(entered.setdefault(test, set()))
            began[test] = time.perf_counter()
            forget_answers()

        with entries.watched():
            failed = self.run([test for test in self.items if file_of(test) in files], folder, before)
            end = time.perf_counter()
        if failed:
            return Outcome(NOTICED, failed)
        times = [*began.values(), end]
        seconds = {test: round(after - start, 4) for (test, start), after in zip(began.items(), times[1:], strict=True)}
        _reach(seconds, entered).write(path)
        return Outcome(SURVIVED)


def _reach(seconds: Mapping[str, float], entered: Mapping[str, set[CodeType]]) -> Reach:
    """A function that a test enters counts with all its lines."""
    lines: dict[str, dict[int, set[str]]] = {}
    spans: dict[CodeType, tuple[str, range] | None] = {}
    functions: dict[str, dict[int, int]] = {}
    for test, codes in entered.items():
        for code in codes:
            if code not in spans:
                spans[code] = _span(code, functions)
            span = spans[code]
            if span is not None:
                for line in span[1]:
                    lines.setdefault(span[0], {}).setdefault(line, set()).add(test)
    return Reach(seconds, {file: {line: frozenset(tests) for line, tests in found.items()} for file, found in lines.items()})


def _span(code: CodeType, functions: dict[str, dict[int, int]]) -> tuple[str, range] | None:
    file = core_path(code.co_filename)
    if file is None:
        return None
    if file not in functions:
        tree = ast.parse((CORE / file).read_text(encoding="utf-8"))
        functions[file] = {
            (node.decorator_list[0].lineno if node.decorator_list else node.lineno): node.end_lineno or node.lineno
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef)
        }
    first = code.co_firstlineno
    return file, range(first, functions[file].get(first, first) + 1)


def collected(paths: Sequence[str], work: Callable[[Session], None]) -> None:
    """Collect the tests below these paths, and do ``work`` with them.  Call it in a child.  Raises TrialError."""
    os.chdir(ROOT)
    session = Session(work)
    arguments = ["-q", "--capture=no", "--tb=no", "--no-header", "-p", "no:cacheprovider", "-p", "no:testinfra"]
    code = pytest.main([*arguments, *paths], plugins=[session])
    if session.error is not None:
        raise session.error
    if not session.items:
        raise TrialError(f"The tests cannot be collected: {pytest.ExitCode(code).name}.")

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One mutant put to the tests, in a child of this process that imports the core with the mistake in it.

No file is changed.  The child has a limit of processor time, so that a loop without an end counts as noticed on a busy
machine too, and one of memory.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import resource
import signal
import sys
import time
import traceback
import typing as t
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, ModuleType

import pytest

from ansible_collections.vfio.variants.tests.mutants.reach import PACKAGE, ROOT
from ansible_collections.vfio.variants.tests.mutants.source import Mutant, mutated

NOTICED, SURVIVED, ENDLESS = "noticed", "survived", "endless"
_MEMORY: t.Final = 8 << 30
_CLOCK: t.Final = 4
"""By the clock a trial has so many times its processor time, and _WALL_SECONDS at least."""
_WALL_SECONDS: t.Final = 900
_QUIET: t.Final = ("-q", "--tb=no", "--no-header", "-p", "no:cacheprovider", "-p", "no:testinfra")


class TrialError(Exception):
    """A trial that says nothing about the tests: the machinery itself failed."""


@dataclass(frozen=True)
class Outcome:
    """``by`` is the test that noticed, or what ended the trial."""

    kind: str
    by: str = ""


@dataclass(eq=False)
class Chosen:
    """A pytest plugin that runs the chosen tests alone, in their order, up to the first that fails."""

    tests: Sequence[str]
    noticed: str = ""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        there = {item.nodeid: item for item in items}
        items[:] = [there[test] for test in self.tests if test in there]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.noticed = self.noticed or f"the import of {report.nodeid}"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.noticed = self.noticed or report.nodeid


class _Mistaken(importlib.machinery.SourceFileLoader):
    """Loads a module from a tree in place of its text."""

    tree: ast.Module
    is_used = False

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - as importlib calls it
        return compile(self.tree, self.path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        type(self).is_used = True
        super().exec_module(module)


@dataclass
class _Finder(importlib.abc.MetaPathFinder):
    name: str
    tree: ast.Module

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name:
            return None
        found = importlib.machinery.PathFinder.find_spec(fullname, path)
        if found is None or found.origin is None:
            raise TrialError(f"{fullname} is not found.")
        loader = _Mistaken(fullname, found.origin)
        loader.tree = self.tree
        return importlib.util.spec_from_file_location(fullname, found.origin, loader=loader)


@dataclass
class Trial:
    """A child at work.  ``folder`` is its own; it leaves its answer there."""

    process: int
    folder: Path
    limit: float = field(default_factory=lambda: time.monotonic() + _WALL_SECONDS)

    def ended(self) -> Outcome | None:
        """How it ended, None while it runs."""
        process, status = os.waitpid(self.process, os.WNOHANG)
        if not process:
            if time.monotonic() < self.limit:
                return None
            self.kill()
            return Outcome(ENDLESS, "the clock")
        self._end_group()
        code = os.waitstatus_to_exitcode(status)
        if code in (-signal.SIGXCPU, -signal.SIGKILL):
            return Outcome(ENDLESS, "processor time")
        if code < 0:
            raise TrialError(f"the trial was ended by signal {-code}.")
        answer = self.folder / "answer"
        if code or not answer.exists():
            raise TrialError((self.folder / "output").read_text(encoding="utf-8", errors="replace")[-2000:] or f"exit code {code}")
        return Outcome(*json.loads(answer.read_text(encoding="utf-8")))

    def kill(self) -> None:
        self._end_group()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.process, 0)

    def _end_group(self) -> None:
        """The child leads a group of its own, which holds what its tests have started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process, signal.SIGKILL)


def start(folder: Path, seconds: float, work: Callable[[], Outcome]) -> Trial:
    """Do ``work`` in a child."""
    folder.mkdir()
    process = os.fork()
    if process:
        return Trial(process, folder, time.monotonic() + max(_WALL_SECONDS, _CLOCK * seconds))
    code = 1
    try:
        os.setsid()
        _redirect(folder / "output")
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 5))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        outcome = work()
        (folder / "answer").write_text(json.dumps([outcome.kind, outcome.by]), encoding="utf-8")
        code = 0
    except BaseException:
        os.write(2, traceback.format_exc().encode(errors="replace"))
    finally:
        os._exit(code)


def put_to_tests(mutant: Mutant, text: str, tests: Sequence[str], folder: Path) -> Outcome:
    """What the tests say, run in this process: call it in a child."""
    name = f"{PACKAGE}.{mutant.file.removesuffix('.py').replace('/', '.')}"
    if name in sys.modules:
        raise TrialError(f"{name} has been imported without the mistake.")
    sys.meta_path.insert(0, _Finder(name, mutated(mutant, text)))
    chosen = Chosen(tests)
    code = run_pytest(chosen, sorted({test.partition("::")[0] for test in tests}), folder)
    if chosen.noticed:
        return Outcome(NOTICED, chosen.noticed)
    if code == pytest.ExitCode.INTERNAL_ERROR:
        raise TrialError("pytest failed.")
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        # The mistake keeps pytest itself from its work: conftest.py does not import, say.
        return Outcome(NOTICED, f"pytest, {pytest.ExitCode(code).name}")
    if not _Mistaken.is_used:
        raise TrialError(f"{name} was not imported by {len(tests)} tests.")
    return Outcome(SURVIVED)


def run_pytest(plugin: object, paths: Sequence[str], folder: Path) -> int:
    os.chdir(ROOT)
    arguments = [*_QUIET, "-x", "--continue-on-collection-errors", f"--basetemp={folder / 'files'}", *paths]
    return int(pytest.main(arguments, plugins=[plugin]))


def _redirect(path: Path) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    output = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.close(output)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

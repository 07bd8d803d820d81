# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many mutants put to the tests, some at a time; what is known of a state of the tree is not asked again."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
import traceback
import typing as t
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.tests.mutants import forked
from ansible_collections.vfio.variants.tests.mutants.forked import Session
from ansible_collections.vfio.variants.tests.mutants.reach import Reach, Recorder, file_of
from ansible_collections.vfio.variants.tests.mutants.source import Mutant
from ansible_collections.vfio.variants.tests.mutants.state import State
from ansible_collections.vfio.variants.tests.mutants.trial import (
    ENDLESS,
    NOTICED,
    SURVIVED,
    Outcome,
    Trial,
    TrialError,
    put_to_tests,
    run_pytest,
    start,
)

UNREACHED: t.Final = "unreached"
_STATE: t.Final = "state.json"
_REACH: t.Final = "reach.json"
_RESULTS: t.Final = "results.jsonl"
_RECORD_SECONDS: t.Final = 1800
_FIRST_SECONDS: t.Final = 10
"""Processor time that a trial has, whatever its tests take."""
_FACTOR: t.Final = 6
_PAUSE: t.Final = 0.02
_SHOWN: t.Final = 50
"""After how many more the progress is shown."""

Say = Callable[[str], None]


@dataclass
class Store:
    """Results in the cache, those of one state of the tree in a folder; ``noticed_by`` remembers across states which test did.

    ``missed`` has what no test noticed in an earlier state, with the files of tests that have changed since; ``reach`` is what is
    known of all files but ``new_tests``.
    """

    cache: Path
    state: State
    results: dict[str, Outcome] = field(default_factory=dict)
    noticed_by: dict[str, str] = field(default_factory=dict)
    missed: dict[str, frozenset[str]] = field(default_factory=dict)
    new_tests: frozenset[str] = frozenset()
    reach: Reach | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.state.write(self.folder / _STATE)
        self.new_tests = frozenset(self.state.tests)
        self._take_over()
        self.read_results()
        for name, kind, by in _records(self.cache / "noticed.jsonl"):
            if kind == NOTICED:
                self.noticed_by[name] = by

    @property
    def folder(self) -> Path:
        return self.cache / self.state.name

    def read_results(self) -> None:
        for name, kind, by in _records(self.folder / _RESULTS):
            self.results[name] = Outcome(kind, by)

    def _take_over(self) -> None:
        """What is still known of states that had other tests and were otherwise the same."""
        for folder in self._earlier():
            known = State.read(folder / _STATE)
            others = self.state.other_files(known)
            self.new_tests, self.reach = others, Reach.read(folder / _REACH).of(frozenset(self.state.tests) - others)
            for name, kind, by in _records(folder / _RESULTS):
                if kind == NOTICED and by in self.reach.seconds:
                    self.results[name] = Outcome(kind, by)
                elif kind in (SURVIVED, UNREACHED):
                    self.missed[name] = others

    def _earlier(self) -> list[Path]:
        """Their folders, the latest last."""
        found = [path for path in self.cache.glob(f"*/{_REACH}") if path.parent != self.folder and (path.parent / _STATE).exists()]
        folders = [path.parent for path in sorted(found, key=lambda path: path.stat().st_mtime)]
        return [folder for folder in folders if State.read(folder / _STATE).base == self.state.base]

    def forget(self) -> None:
        self.results.clear()
        self.missed.clear()
        (self.folder / _RESULTS).unlink(missing_ok=True)

    def add(self, mutant: Mutant, outcome: Outcome) -> None:
        self.results[mutant.name] = outcome
        line = json.dumps([mutant.name, outcome.kind, outcome.by]) + "\n"
        places = [self.folder / _RESULTS]
        if outcome.kind == NOTICED and self.noticed_by.get(mutant.name) != outcome.by:
            self.noticed_by[mutant.name] = outcome.by
            places.append(self.cache / "noticed.jsonl")
        for place in places:
            with place.open("a", encoding="utf-8") as file:
                file.write(line)


def _records(path: Path) -> Iterator[tuple[str, str, str]]:
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            name, kind, by = json.loads(line)
            yield name, kind, by


@dataclass
class Campaign:
    store: Store
    texts: Mapping[str, str]
    jobs: int
    say: Say
    state_now: Callable[[], State]
    _reach: Reach | None = None
    _session: Session | None = None
    """In a process that has collected the tests, those."""

    def run(self, mutants: Sequence[Mutant]) -> dict[Mutant, Outcome]:
        """The outcome of each, those known already included."""
        open_ones = [mutant for mutant in mutants if mutant.name not in self.store.results]
        if open_ones:
            with tempfile.TemporaryDirectory(prefix="mutants-", dir=_fast_folder(), ignore_cleanup_errors=True) as folder:
                self._run_forked(open_ones, Path(folder))
                rest = [mutant for mutant in open_ones if mutant.name not in self.store.results]
                if rest:
                    self._reach = self.reach(Path(folder))
                    self._run(rest, Path(folder))
            if self.state_now() != self.store.state:
                self.store.forget()
                raise TrialError("Files were changed meanwhile, so that nothing is known of either state.")
        return {mutant: self.store.results[mutant.name] for mutant in mutants}

    def _run_forked(self, mutants: Sequence[Mutant], folder: Path) -> None:
        def work(session: Session) -> None:
            self._session = session
            self._reach = self.reach(folder)
            self._run(mutants, folder)

        process = os.fork()
        if not process:
            code = 1
            try:
                forked.collected(sorted(self.store.state.tests), work)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                sys.stdout.flush()
                os._exit(code)
        _process, status = os.waitpid(process, 0)
        if status:
            raise TrialError("The process that has the tests has ended.")
        self.store.read_results()

    def reach(self, folder: Path) -> Reach:
        path = self.store.folder / _REACH
        if not path.exists():
            known = self.store.reach or Reach({}, {})
            if self.store.new_tests:
                known = known.joined(self._recorded(sorted(self.store.new_tests), folder))
            known.write(path)
        return Reach.read(path)

    def _recorded(self, files: Sequence[str], folder: Path) -> Reach:
        self.say(f"running the tests of {len(files)} files once, to see which lines each of them runs")
        began, path = time.monotonic(), folder / _REACH
        session = self._session
        record = _record if session is None else session.record
        outcome = _wait(start(folder / "reach", _RECORD_SECONDS, lambda: record(files, path, folder / "reach")))
        if outcome.kind == ENDLESS:
            raise TrialError(f"The unit tests did not end: the limit of {outcome.by} was reached.")
        if outcome.kind != SURVIVED:
            raise TrialError(f"The unit tests fail without any mistake: {outcome.by}.")
        self.say(f"took {time.monotonic() - began:.0f} s")
        return Reach.read(path)

    def _run(self, mutants: Sequence[Mutant], folder: Path) -> None:
        waiting = iter(mutants)
        running: list[tuple[Mutant, Iterator[Trial], Trial]] = []
        told, began = 0, time.monotonic()
        try:
            while True:
                running = [after for one in running for after in self._advanced(*one)]
                while len(running) < self.jobs and (mutant := next(waiting, None)) is not None:
                    stages = self._stages(mutant, folder / str(id(mutant)))
                    running += self._begun(mutant, stages)
                if (done := self._count(mutants)) >= told + _SHOWN:
                    told = done
                    self.say(f"{done} of {len(mutants)}, {time.monotonic() - began:.0f} s")
                if not running:
                    return
                time.sleep(_PAUSE)
        finally:
            for _mutant, _stages, trial in running:
                trial.kill()

    def _count(self, mutants: Iterable[Mutant]) -> int:
        return sum(mutant.name in self.store.results for mutant in mutants)

    def _begun(self, mutant: Mutant, stages: Iterator[Trial]) -> list[tuple[Mutant, Iterator[Trial], Trial]]:
        trial = next(stages, None)
        if trial is not None:
            return [(mutant, stages, trial)]
        reached = self._reach is not None and self._reach.tests(mutant)
        if self._session is None or mutant.in_function or not reached:
            self.store.add(mutant, Outcome(SURVIVED if reached else UNREACHED))
        return []

    def _advanced(self, mutant: Mutant, stages: Iterator[Trial], trial: Trial) -> list[tuple[Mutant, Iterator[Trial], Trial]]:
        try:
            outcome = trial.ended()
        except TrialError as error:
            raise TrialError(f"{mutant}: {error}") from error
        if outcome is None:
            return [(mutant, stages, trial)]
        shutil.rmtree(trial.folder, ignore_errors=True)
        if outcome.by == forked.CANNOT:
            return []
        if outcome.kind == SURVIVED:
            return self._begun(mutant, stages)
        self.store.add(mutant, outcome)
        return []

    def _stages(self, mutant: Mutant, folder: Path) -> Iterator[Trial]:
        """First the test that noticed it before and the file's own tests, then the room's, then all others that run the line."""
        tests = self._tests(mutant)
        room = f"_core/{mutant.room}/"
        own = f"{room}test_{Path(mutant.file).stem}.py::"
        known = self.store.noticed_by.get(mutant.name)
        left = tests
        known_or_own: Callable[[str], bool] = lambda test: own in test or test == known  # noqa: E731
        order: tuple[Callable[[str], bool], ...] = (known_or_own, lambda test: room in test, lambda _test: True)
        for number, is_next in enumerate(order):
            chosen = [test for test in left if is_next(test)]
            left = [test for test in left if not is_next(test)]
            if chosen:
                yield self._start(mutant, chosen, folder.with_name(f"{folder.name}-{number}"))

    def _start(self, mutant: Mutant, tests: Sequence[str], folder: Path) -> Trial:
        assert self._reach is not None
        seconds = _FIRST_SECONDS + _FACTOR * sum(self._reach.seconds[test] for test in tests)
        put = put_to_tests if self._session is None else self._session.put_to_tests
        return start(folder, seconds, lambda: put(mutant, self.texts[mutant.file], tests, folder))

    def _tests(self, mutant: Mutant) -> list[str]:
        assert self._reach is not None
        seconds, known = self._reach.seconds, self.store.noticed_by.get(mutant.name)
        new = self.store.missed.get(mutant.name)
        tests = (test for test in self._reach.tests(mutant) if new is None or file_of(test) in new)
        return sorted(tests, key=lambda test: (test != known, seconds[test], test))


def _wait(trial: Trial) -> Outcome:
    try:
        while (outcome := trial.ended()) is None:
            time.sleep(_PAUSE)
    except BaseException:
        trial.kill()
        raise
    return outcome


def _record(files: Sequence[str], path: Path, folder: Path) -> Outcome:
    recorder = Recorder()
    recorder.measured.start()
    code = run_pytest(recorder, files, folder)
    recorder.measured.stop()
    if code == pytest.ExitCode.INTERNAL_ERROR:
        raise TrialError("pytest failed.")
    if code or recorder.failed:
        return Outcome(NOTICED, ", ".join(recorder.failed) or f"pytest ended with {code}")
    recorder.reach().write(path)
    return Outcome(SURVIVED)


def _fast_folder() -> str | None:
    """Memory, where there is some: the tests write thousands of small files."""
    memory = "/dev/shm"
    return memory if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 1 << 30 else None

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many mutants put to the tests, some at a time; what is known of a state of the tree is not asked again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
import typing as t
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.tests.mutants.reach import ROOT, Reach, Recorder
from ansible_collections.vfio.variants.tests.mutants.source import Mutant
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
_TESTS: t.Final = ROOT / "tests/unit"
_RECORD_SECONDS: t.Final = 1800
_FIRST_SECONDS: t.Final = 10
"""Processor time that a trial has, whatever its tests take."""
_FACTOR: t.Final = 6
_PAUSE: t.Final = 0.02
_TOLD: t.Final = 50
"""After how many more the progress is shown."""

Say = Callable[[str], None]


def state_of_the_tree() -> str:
    """Names what a result depends on: the core, its tests, the files both read, and this tool."""
    digest = hashlib.sha256(sys.version.encode())
    for folder in ("plugins", "tests/unit", "tests/mutants", "tests/forecast", "files", "tools", "docs", "molecule"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and path.name != "equivalents.yml":
                digest.update(f"{path.relative_to(ROOT)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


@dataclass
class Store:
    """Results in the cache, those of one state of the tree in a folder; ``noticed_by`` remembers across states which test did."""

    cache: Path
    state: str
    results: dict[str, Outcome] = field(default_factory=dict)
    noticed_by: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, kind, by in _records(self.folder / "results.jsonl"):
            self.results[name] = Outcome(kind, by)
        for name, kind, by in _records(self.cache / "noticed.jsonl"):
            if kind == NOTICED:
                self.noticed_by[name] = by

    @property
    def folder(self) -> Path:
        return self.cache / self.state

    def forget(self) -> None:
        self.results.clear()
        (self.folder / "results.jsonl").unlink(missing_ok=True)

    def add(self, mutant: Mutant, outcome: Outcome) -> None:
        self.results[mutant.name] = outcome
        line = json.dumps([mutant.name, outcome.kind, outcome.by]) + "\n"
        places = [self.folder / "results.jsonl"]
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
    _reach: Reach | None = None

    def run(self, mutants: Sequence[Mutant]) -> dict[Mutant, Outcome]:
        """The outcome of each, those known already included."""
        open_ones = [mutant for mutant in mutants if mutant.name not in self.store.results]
        if open_ones:
            with tempfile.TemporaryDirectory(prefix="mutants-", dir=_fast_folder(), ignore_cleanup_errors=True) as folder:
                self._reach = self.reach(Path(folder))
                self._run(open_ones, Path(folder))
            if state_of_the_tree() != self.store.state:
                self.store.forget()
                raise TrialError("Files were changed meanwhile, so that nothing is known of either state.")
        return {mutant: self.store.results[mutant.name] for mutant in mutants}

    def reach(self, folder: Path) -> Reach:
        path = self.store.folder / "reach.json"
        if not path.exists():
            self.say("running the unit tests once, to see which lines each of them runs")
            began = time.monotonic()
            outcome = _wait(start(folder / "reach", _RECORD_SECONDS, lambda: _record(path, folder / "reach")))
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
                if (done := self._count(mutants)) >= told + _TOLD:
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
        self.store.add(mutant, Outcome(UNREACHED if not self._tests(mutant) else SURVIVED))
        return []

    def _advanced(self, mutant: Mutant, stages: Iterator[Trial], trial: Trial) -> list[tuple[Mutant, Iterator[Trial], Trial]]:
        try:
            outcome = trial.ended()
        except TrialError as error:
            raise TrialError(f"{mutant}: {error}") from error
        if outcome is None:
            return [(mutant, stages, trial)]
        shutil.rmtree(trial.folder, ignore_errors=True)
        if outcome.kind == SURVIVED:
            return self._begun(mutant, stages)
        self.store.add(mutant, outcome)
        return []

    def _stages(self, mutant: Mutant, folder: Path) -> Iterator[Trial]:
        """First the test that noticed it before and the file's own tests, then all others that run the line."""
        tests = self._tests(mutant)
        own = f"_core/{mutant.room}/test_{Path(mutant.file).stem}.py::"
        first = [test for test in tests if own in test or test == self.store.noticed_by.get(mutant.name)]
        for number, chosen in enumerate((first, [test for test in tests if test not in first])):
            if chosen:
                yield self._start(mutant, chosen, folder.with_name(f"{folder.name}-{number}"))

    def _start(self, mutant: Mutant, tests: Sequence[str], folder: Path) -> Trial:
        assert self._reach is not None
        seconds = _FIRST_SECONDS + _FACTOR * sum(self._reach.seconds[test] for test in tests)
        return start(folder, seconds, lambda: put_to_tests(mutant, self.texts[mutant.file], tests, folder))

    def _tests(self, mutant: Mutant) -> list[str]:
        assert self._reach is not None
        seconds, known = self._reach.seconds, self.store.noticed_by.get(mutant.name)
        return sorted(self._reach.tests(mutant), key=lambda test: (test != known, seconds[test], test))


def _wait(trial: Trial) -> Outcome:
    try:
        while (outcome := trial.ended()) is None:
            time.sleep(_PAUSE)
    except BaseException:
        trial.kill()
        raise
    return outcome


def _record(path: Path, folder: Path) -> Outcome:
    recorder = Recorder()
    recorder.measured.start()
    # The tool's own tests start processes of their own and run nothing of the core here.
    code = run_pytest(recorder, [str(_TESTS), f"--ignore={_TESTS / 'tests/mutants'}"], folder)
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

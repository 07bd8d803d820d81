# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is booted, what is not, and what becomes of a boot that fails: with the record's hosts, and a pool that only answers."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Sequence
from pathlib import Path

import command
import pytest
import recorded_hosts
from comparison import Comparison
from configuration import Configuration
from host_trees import HostTrees
from observation import BootError, Observation
from records import AS_IT_IS, Corpus, Record

BOOTS = Corpus(command.OBSERVED)
CASES = [case for case in BOOTS.cases() if case.configuration.series == "6.1" and case.configuration.name.startswith("seed-")][:2]


class Pool:
    """Answers with what was recorded of a configuration, unless it is to fail; ``booted`` are the names of what it was asked for."""

    def __init__(self, *failing_once: str, always: bool = False) -> None:
        self._failing, self._always = set(failing_once), always
        self.booted: list[str] = []

    def boot_many(self, configurations: Sequence[Configuration], parallel: int) -> Iterator[tuple[Configuration, Observation | BootError]]:
        assert parallel > 0
        for one in configurations:
            self.booted.append(one.name)
            if one.name in self._failing:
                self._failing -= set() if self._always else {one.name}
                yield one, BootError("it ran out of time")
            else:
                yield one, observed(recorded(one.name))


def recorded(name: str) -> Record:
    case = next(case for case in CASES if case.configuration.name == name)
    return next(record for record in BOOTS.variations(case) if record.variation == AS_IT_IS)


def observed(record: Record) -> Observation:
    return Observation(record.owners, record.by_stage, {}, record.modalias, (), {}, 1.0, "")


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> HostTrees:
    folder = tmp_path_factory.mktemp("trees")
    return HostTrees(recorded_hosts.read(recorded_hosts.beside(command.OBSERVED), folder / "hosts").__getitem__, folder)


def comparison(trees: HostTrees, corpus: Path, pool: Pool | None, said: list[str]) -> Comparison:
    return Comparison(trees, Corpus(corpus), said.append, t.cast("t.Any", pool))


@pytest.mark.sampled(3)
def test_what_was_booted_before_is_booted_again_only_where_that_is_asked_for(trees: HostTrees, tmp_path: Path) -> None:
    names = [case.configuration.name for case in CASES]
    for again, booted in ((False, names), (False, []), (True, names)):
        pool = Pool()
        results = list(comparison(trees, tmp_path / "boots.jsonl", pool, []).run(CASES, again))
        assert (pool.booted, len(results), [result.is_wrong for result in results]) == (booted, 2, [False, False])


@pytest.mark.sampled(3)
def test_a_boot_that_runs_out_of_time_is_tried_once_more(trees: HostTrees, tmp_path: Path) -> None:
    said: list[str] = []
    name = CASES[0].configuration.name
    pool = Pool(name)
    assert len(list(comparison(trees, tmp_path / "boots.jsonl", pool, said).run(CASES))) == 2
    assert pool.booted.count(name) == 2
    assert said == [f"{name} did not boot to its end: it ran out of time"]


def test_a_boot_that_fails_twice_has_no_result_and_is_said_to_have_failed(trees: HostTrees, tmp_path: Path) -> None:
    said: list[str] = []
    name = CASES[0].configuration.name
    assert len(list(comparison(trees, tmp_path / "boots.jsonl", Pool(name, always=True), said).run(CASES))) == 1
    assert said[-1] == f"FAILED: {name} did not boot to its end: it ran out of time"


def test_who_may_boot_nothing_is_told_how_much_would_have_to_be_booted(trees: HostTrees, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="2 configurations would have to be booted"):
        list(comparison(trees, tmp_path / "boots.jsonl", None, []).run(CASES))

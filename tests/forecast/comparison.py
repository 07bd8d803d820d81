# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forecasts against boots: each configuration is put on a tree for the collection to read, and into a guest to boot."""

from __future__ import annotations

import os
import subprocess
import typing as t
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import comparison_result
import races
from comparison_result import Answers, Status
from config_builder import Case
from configuration import Configuration
from forked import alike, in_processes
from host_trees import HostTrees, likeness
from observation import BootError, Observation
from records import AS_IT_IS, Corpus, Record
from table import Result

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import read
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import OSRELEASE, read_all
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory

if t.TYPE_CHECKING:
    from guest_pool import GuestPool

Say = Callable[[str], None]


@dataclass(frozen=True)
class Facts:
    """What the collection reads from a host before it boots."""

    devices: tuple[Device, ...]
    boot: Boot

    def answers(self) -> Answers:
        return forecast.forecast(self.devices, self.boot)


@dataclass(frozen=True)
class Comparison:
    """``pool`` is none where nothing may be booted.  ``races`` says how often a case is booted again, at most, to show a race."""

    trees: HostTrees
    corpus: Corpus
    say: Say
    pool: GuestPool | None = None
    parallel: int = 2
    races: int = 0

    def run(self, cases: Sequence[Case], again: bool = False) -> Iterator[Result]:
        """Each case compared with its boots; what was booted before is not booted again unless ``again`` says so."""
        known = [case for case in cases if self.corpus.find(case) is not None and not again]
        yield from (self.judged(case) for case in known)
        yield from (self.judged(case) for case in self._booted([case for case in cases if case not in known]))

    def replay(self, cases: Iterable[Case]) -> list[Result]:
        """Each case that was booted before, compared without booting anything; those that are alike go to one process."""
        known = list(cases)
        groups = alike(range(len(known)), lambda number: likeness(known[number].configuration))
        judged = in_processes(lambda number: self.judged(known[number]), groups, self.parallel)
        by_number = {
            number: result for group, results in zip(groups, judged, strict=True) for number, result in zip(group, results, strict=True)
        }
        return [by_number[number] for number in range(len(known))]

    def facts(self, configuration: Configuration) -> Facts:
        """The collection's own way from a host to what a forecast is made from."""
        with self.trees.folder() as folder:
            return facts_of_guest(self.host(configuration, folder))

    def host(self, configuration: Configuration, folder: Path) -> Host:
        """The configuration laid out in an empty folder, as a host."""
        return Host(str(self.trees.lay_out(configuration, folder)), run)

    def _boot(self, configurations: Sequence[Configuration]) -> Iterator[tuple[Configuration, Observation | BootError]]:
        if self.pool is None:
            raise HostError(f"{len(configurations)} configurations would have to be booted, and nothing may be.")
        return self.pool.boot_many(configurations, parallel=self.parallel)

    def _booted(self, cases: Sequence[Case]) -> Iterator[Case]:
        """Those that came to their end, at the second try if not at the first: on a busy machine a guest may run out of time."""
        for is_last in (False, True):
            by_name = {case.configuration.name: case for case in cases}
            failed = []
            for configuration, observed in self._boot([case.configuration for case in cases]) if cases else ():
                case = by_name[configuration.name]
                if isinstance(observed, BootError):
                    self.say(f"{'FAILED: ' if is_last else ''}{configuration.name} did not boot to its end: {observed}")
                    failed.append(case)
                    continue
                self._keep(case, AS_IT_IS, observed)
                yield case
            cases = failed

    def _keep(self, case: Case, variation: str, observed: Observation) -> None:
        self.corpus.add(Record(case, variation, observed.owners, observed.owners_by_stage, observed.modalias))

    def show_races(self, results: Sequence[Result]) -> list[Result]:
        """The results after each case of whose races one side was seen has been booted up to ``races`` times more."""
        now = {result.case.configuration.name: result for result in results}
        for _round in range(self.races):
            wanted = {variation.name: (case, name, variation) for case, name, variation in self._variations(now.values())}
            for variation, observed in self._boot([one for _case, _name, one in wanted.values()]):
                case, name, _variation = wanted[variation.name]
                if isinstance(observed, BootError):
                    self.say(f"{variation.name} did not boot to its end")
                    continue
                self._keep(case, name, observed)
                now[case.configuration.name] = self.judged(case)
        return list(now.values())

    def _variations(self, results: Iterable[Result]) -> Iterator[tuple[Case, str, Configuration]]:
        """For each case with a race that is not shown yet, the first variation that it was not booted with."""
        for result in results:
            boots = self.corpus.variations(result.case)
            tried = {record.variation for record in boots}
            modalias = next((record.modalias for record in boots if record.variation == AS_IT_IS), {})
            found = (
                variation
                for one in result.judged
                if one.status is Status.OPEN and one.winner is not None
                for outcome in one.winner.outcomes
                if outcome not in one.observed.values()
                for variation in races.force_order(result.case.configuration, modalias, one.address, one.winner, outcome)
            )
            name, variation = next(((name, one) for name, one in found if name not in tried), ("", None))
            if variation is not None:
                yield result.case, name, variation

    def judged(self, case: Case) -> Result:
        return self.compared(case, self.facts(case.configuration).answers())

    def compared(self, case: Case, answers: Answers) -> Result:
        boots = {record.variation: (record.owners, record.by_stage) for record in self.corpus.variations(case)}
        return Result(case, tuple(comparison_result.compare(answers, boots)))


def run(args: list[str], *, data: bytes | None, binary_data: bool, environ_update: dict[str, str] | None) -> tuple[int, str, str]:
    """A tree's commands are this machine's: they unpack images."""
    environment = {**os.environ, **(environ_update or {})}
    done = subprocess.run(args, input=data, capture_output=True, env=environment, check=False, timeout=120)
    return done.returncode, done.stdout.decode("utf-8", "surrogateescape"), done.stderr.decode("utf-8", "surrogateescape")


def read_facts(host: Host) -> Facts:
    """What `device_info` reads, for the one kernel of the tree."""
    inventory = Inventory.read(host)
    (boot,) = read.boots(host, inventory, read_all(host), host.text_or_none(OSRELEASE))
    return Facts(inventory.devices, boot)


def facts_of_guest(host: Host) -> Facts:
    """The guest creates the virtual functions itself, as somebody would by hand: what is asked is who has them then."""
    found = read_facts(host)
    return replace(found, boot=replace(found.boot, later=replace(found.boot.later, unmade={})))

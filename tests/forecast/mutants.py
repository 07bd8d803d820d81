# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the boots that were seen give each broken forecast away, and which configuration does."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from comparison import Comparison, Facts, facts_of_guest
from config_builder import Case
from forked import alike, in_processes
from mutation import Mutation

from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

Say = Callable[[str], None]


@dataclass
class Mutants:
    """``catchers`` are the configurations, by what a mutation breaks, that were seen to give it away before."""

    comparison: Comparison
    catchers: Mapping[str, str]
    folder: Path
    """Where the hosts are laid out, each once."""
    mutations: Sequence[Mutation]
    _hosts: dict[str, Host] = field(default_factory=dict)
    _facts: dict[str, Facts] = field(default_factory=dict)
    _sound: dict[str, bool] = field(default_factory=dict)

    def check(self, say: Say) -> tuple[dict[str, str | None], list[str]]:
        """The configuration that catches each mutation, None where none does; and those that were judged and are wrong as they are."""
        # Those that are likely to need the same host are for one process.
        groups = alike(range(len(self.mutations)), lambda number: self.catchers.get(self.mutations[number].breaks))
        answers: dict[int, tuple[str | None, list[str]]] = {}
        for group, judged in zip(groups, in_processes(self._judged, groups, self.comparison.parallel), strict=True):
            answers.update(zip(group, judged, strict=True))
        found: dict[str, str | None] = {}
        for number, mutation in enumerate(self.mutations):
            found[mutation.breaks] = catcher = answers[number][0]
            say(f"{mutation.breaks}: {f'caught by {catcher}' if catcher else 'NOT NOTICED'}")
        return found, sorted({name for _catcher, wrong in answers.values() for name in wrong})

    def _judged(self, number: int) -> tuple[str | None, list[str]]:
        catcher = self._catcher(self.mutations[number])
        return catcher, [name for name, sound in self._sound.items() if not sound]

    def _catcher(self, mutation: Mutation) -> str | None:
        return next((case.configuration.name for case in self._candidates(mutation) if self._catches(case, mutation)), None)

    def _candidates(self, mutation: Mutation) -> Iterator[Case]:
        """The one that caught it before, then all others, those with names first."""
        known = self.catchers.get(mutation.breaks)
        cases = self.comparison.corpus.cases()
        yield from sorted(cases, key=lambda case: (case.configuration.name != known, case.configuration.name.startswith("seed-")))

    def _catches(self, case: Case, mutation: Mutation) -> bool:
        if not self._is_sound(case):
            return False
        with mutation.applied():
            facts = facts_of_guest(self._host_of(case)) if mutation.reads else self._facts_of(case)
            return self.comparison.compared(case, facts.answers()).is_wrong

    def _is_sound(self, case: Case) -> bool:
        """Whether the forecast as it is agrees with the boot: else the case proves nothing."""
        name = case.configuration.name
        if name not in self._sound:
            self._sound[name] = not self.comparison.compared(case, self._facts_of(case).answers()).is_wrong
        return self._sound[name]

    def _facts_of(self, case: Case) -> Facts:
        name = case.configuration.name
        if name not in self._facts:
            self._facts[name] = facts_of_guest(self._host_of(case))
        return self._facts[name]

    def _host_of(self, case: Case) -> Host:
        name = case.configuration.name
        if name not in self._hosts:
            place = self.folder / f"{os.getpid()}-{len(self._hosts)}"
            place.mkdir()
            self._hosts[name] = self.comparison.host(case.configuration, place)
        return self._hosts[name]


def check(comparison: Comparison, catchers: Path, say: Say, chosen: Sequence[Mutation], rewrite: bool = False) -> int:
    """Whether each chosen mutation is noticed, and no forecast wrong without one; ``rewrite`` writes down the catchers that were found."""
    known: dict[str, str] = json.loads(catchers.read_text(encoding="utf-8")) if catchers.exists() else {}
    with comparison.trees.folder() as folder:
        mutants = Mutants(comparison, known, folder, chosen)
        found, wrong = mutants.check(say)
    missed = [breaks for breaks, catcher in found.items() if catcher is None]
    if rewrite:
        catchers.parent.mkdir(parents=True, exist_ok=True)
        catchers.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    for name in wrong:
        say(f"{name}: WRONG as it is")
    failed = len(missed) + len(wrong)
    say(f"{len(found) - len(missed)} passed, {failed} failed")
    return 1 if failed else 0

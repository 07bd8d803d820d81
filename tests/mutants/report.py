# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a campaign found, as text and as the table in CONTRIBUTING.md."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ansible_collections.vfio.variants.tests import marked_page
from ansible_collections.vfio.variants.tests.mutants.campaign import UNREACHED
from ansible_collections.vfio.variants.tests.mutants.source import Mutant
from ansible_collections.vfio.variants.tests.mutants.trial import SURVIVED, Outcome

BEGIN: t.Final = "<!-- mutants: written by tests/mutants/run --table -->"
END: t.Final = "<!-- end of mutants -->"

Outcomes = Mapping[Mutant, Outcome]


def survivors(outcomes: Outcomes) -> list[tuple[Mutant, Outcome]]:
    """Those that no test noticed, in the order of the code."""
    found = [(mutant, outcome) for mutant, outcome in outcomes.items() if outcome.kind in (SURVIVED, UNREACHED)]
    return sorted(found, key=lambda pair: (pair[0].file, pair[0].lines, pair[0].name))


def share(outcomes: Outcomes) -> float:
    """How many of a hundred survive."""
    return 100 * len(survivors(outcomes)) / len(outcomes) if outcomes else 0.0


def listing(outcomes: Outcomes) -> Iterator[str]:
    for mutant, outcome in survivors(outcomes):
        yield f"{'not run by any test' if outcome.kind == UNREACHED else 'not noticed'}: {mutant}"


def rows(outcomes: Outcomes) -> Iterator[tuple[str, int, int]]:
    """Room, tried, survivors; the last row is the sum."""
    rooms = sorted({mutant.room for mutant in outcomes})
    left = [mutant.room for mutant, _outcome in survivors(outcomes)]
    for room in rooms:
        yield room, sum(mutant.room == room for mutant in outcomes), left.count(room)
    yield "all", len(outcomes), len(left)


def sentence(outcomes: Outcomes) -> str:
    number = len(survivors(outcomes))
    return f"{len(outcomes)} mutants, {number} survived ({share(outcomes):.1f} %)"


def table(outcomes: Outcomes, command: str, commit: str) -> str:
    lines = ["| room | mutants | not noticed | of a hundred |", "|---|---:|---:|---:|"]
    lines += [f"| {room} | {tried} | {left} | {100 * left / tried:.1f} |" for room, tried, left in rows(outcomes) if tried]
    return "\n".join([f"`{command}` at commit `{commit}`:", "", *lines])


def write_table(path: Path, rendered: str) -> None:
    """Put the table in the place of the one before it, between its two marks.  Raises ValueError where these are missing."""
    marked_page.rewrite(path, BEGIN, END, rendered)


def stale(left_out: Sequence[str], known: Sequence[Mutant]) -> list[str]:
    """Names in the list of equivalent mutants that no mutant has any more."""
    names = {mutant.name for mutant in known}
    return [name for name in left_out if name not in names]

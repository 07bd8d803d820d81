# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a fleet: one row a host, those that need a person first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.vfio.variants.plugins.plugin_utils._report.summary import STATES, Summary
from ansible_collections.vfio.variants.plugins.plugin_utils._report.templates import moment, render
from ansible_collections.vfio.variants.plugins.plugin_utils._report.wording import cut

LONGEST_CELL = 1200
"""Characters of all sentences of a host, so that a page of a thousand hosts stays below 5 MB."""


@dataclass(frozen=True)
class HostRow:
    """A host with its rank, the lower the worse."""

    summary: Summary
    rank: int
    sentences: tuple[str, ...]
    more: int
    examined: str


def in_order(summaries: Sequence[Summary]) -> list[Summary]:
    """By state, worst first, then those with more warnings, then by name."""
    ranks = list(STATES)
    return sorted(summaries, key=lambda found: (ranks.index(found.state), -found.warnings, found.name))


def fleet_page(title: str, summaries: Sequence[Summary]) -> str:
    """The page as HTML that needs nothing besides itself but, for its links, the pages of the hosts."""
    rows = [_row(found) for found in in_order(summaries)]
    counts = {state: sum(1 for found in summaries if found.state == state) for state in STATES}
    latest = max((found.examined_at for found in summaries), default=0)
    return render(
        "fleet.html.j2",
        title=cut(title, 200),
        rows=rows,
        counts=counts,
        meanings=STATES,
        examined=moment(latest) if latest else None,
        claimed=sum(len(found.claims) for found in summaries),
        satisfied=sum(found.satisfied for found in summaries),
        will_be_satisfied=sum(found.will_be_satisfied for found in summaries),
    )


def _row(summary: Summary) -> HostRow:
    kept: list[str] = []
    room = LONGEST_CELL
    for sentence in (*summary.changes, *summary.remarks):
        if len(sentence) > room:
            break
        kept.append(sentence)
        room -= len(sentence)
    examined = moment(summary.examined_at) if summary.examined_at else "never"
    return HostRow(summary, list(STATES).index(summary.state), tuple(kept), max(0, summary.sentences - len(kept)), examined)

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of a run: how many inputs, sets of options and hosts, and how many were answered wrongly."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.vfio.variants.tests import marked_page

BEGIN, END = "<!-- fuzz: written by tests/fuzz/run --table -->", "<!-- end of fuzz -->"
WORDS = {
    "inputs": "inputs of {parsers} parsers, guided by coverage",
    "options": "sets of options of all modules",
    "trees": "hosts with hostile files",
}


@dataclass(frozen=True)
class Row:
    kind: str
    count: int
    faults: int
    parsers: int

    def line(self) -> str:
        return f"| {WORDS[self.kind].format(parsers=self.parsers)} | {self.count} | {self.faults} |"


@dataclass
class Figures:
    seed: int
    rows: list[Row] = field(default_factory=list)

    def add(self, kind: str, count: int, faults: int, parsers: int = 0) -> None:
        self.rows.append(Row(kind, count, faults, parsers))

    @property
    def passed(self) -> int:
        return sum(row.count - row.faults for row in self.rows)

    @property
    def failed(self) -> int:
        return sum(row.faults for row in self.rows)

    def sentence(self) -> str:
        parts = (f"{row.count} {WORDS[row.kind].format(parsers=row.parsers)}: {row.faults} answered wrongly" for row in self.rows)
        return "; ".join(parts) + "."


def write(page: Path, figures: Figures) -> None:
    """Replace what stands between the two marks.  Rows that this run did not make stay.  Raises ValueError without the marks."""
    _before, old, _after = marked_page.parted(page.read_text(encoding="utf-8"), BEGIN, END)
    made = {row.kind: row.line() for row in figures.rows}
    kept = [line for line in old.splitlines() if line.startswith("| ") and not line.startswith("| what")]
    lines = [made.get(kind) or next((line for line in kept if WORDS[kind].rpartition("}")[2] in line), None) for kind in WORDS]
    table = "\n".join(["| what | tried | answered wrongly |", "|---|---|---|", *(line for line in lines if line)])
    marked_page.rewrite(page, BEGIN, END, table)

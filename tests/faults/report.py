# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The counts of the last run, and the table in docs/reliability.md that shows them."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ansible_collections.vfio.variants.tests import marked_page

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(__file__)
COUNTS = ROOT / "tests/faults/observed/counts.json"
PAGE = ROOT / "docs/reliability.md"
BEGIN, END = "<!-- faults: written by tests/faults/run --record -->", "<!-- end of faults -->"
COLUMNS: dict[str, tuple[str, ...]] = {
    "killed": ("killed",),
    "ended by a signal": ("SIGTERM", "SIGINT", "SIGHUP"),
    "a program hangs": ("hangs",),
    "one call fails (EIO, EACCES)": ("EIO", "EACCES"),
    "disk or quota full": ("ENOSPC", "EDQUOT"),
    "read-only": ("EROFS",),
    "wrong afterwards": ("wrong",),
}
"""Each column of the table, with the counts that are summed up in it."""
HEAD = f"| what is disturbed | scenarios | {' | '.join(COLUMNS)} |"
Counts = Mapping[str, Mapping[str, Mapping[str, int]]]
"""By kind and scenario."""


def known() -> dict[str, str]:
    """The recorded scenarios, with their kinds."""
    return {name: kind for kind, rows in counts().items() for name in rows}


def counts() -> dict[str, dict[str, dict[str, int]]]:
    """The recorded counts by kind, scenario and column."""
    found: dict[str, dict[str, dict[str, int]]] = json.loads(COUNTS.read_text(encoding="utf-8")) if COUNTS.exists() else {}
    return found


def record(name: str, kind: str, row: Mapping[str, int]) -> None:
    """Write a scenario's counts, and the page with them; several programs can go through different scenarios."""
    with SOURCE.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = counts()
        found.setdefault(kind, {})[name] = {name: row.get(name, 0) for names in COLUMNS.values() for name in names}
        COUNTS.parent.mkdir(exist_ok=True)
        COUNTS.write_text(_laid_out(found), encoding="utf-8")
        PAGE.write_text(page(found, PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def page(shown: Counts, text: str) -> str:
    """The page with the table of these counts in place of the old one."""
    return marked_page.replaced(text, BEGIN, END, f"\n{table(shown)}")


def table(shown: Counts) -> str:
    every = [row for rows in shown.values() for row in rows.values()]
    lines = [HEAD, f"|---|--:{'|--:' * len(COLUMNS)}|"]
    lines += [_line(kind, list(rows.values())) for kind, rows in shown.items()]
    return "\n".join([*lines, _line("**all**", every), ""])


def _line(kind: str, rows: Sequence[Mapping[str, int]]) -> str:
    numbers = [len(rows), *(sum(row.get(name, 0) for row in rows for name in names) for names in COLUMNS.values())]
    return f"| {kind} | {' | '.join(map(str, numbers))} |"


def _laid_out(found: Counts) -> str:
    """As JSON, with a line for each scenario."""
    kinds = []
    for kind, rows in sorted(found.items()):
        lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
        kinds.append(f" {json.dumps(kind)}: {{\n{lines}\n }}")
    return "{\n" + ",\n".join(kinds) + "\n}\n"

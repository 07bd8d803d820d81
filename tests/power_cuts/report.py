# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorded cuts, and their table in docs/reliability.md."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Mapping, Sequence
from pathlib import Path

from ansible_collections.vfio.variants.tests import marked_page
from ansible_collections.vfio.variants.tests.faults.report import PAGE

BEGIN, END = "<!-- power cuts: written by tests/power_cuts/run -->", "<!-- end of power cuts -->"
HEAD = "| the power was cut while | cuts | came up | owner as predicted, devices | wrong |"
Row = Mapping[str, t.Any]


def rows(path: Path) -> list[dict[str, t.Any]]:
    """The recorded ones; none where nothing is recorded."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def add(path: Path, row: Row) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def write(found: Sequence[Row]) -> None:
    """The page with the table of these cuts in place of the old one."""
    marked_page.rewrite(PAGE, BEGIN, END, f"\n{table(found)}")


def table(found: Sequence[Row]) -> str:
    """A line for each task of the playbook in which the power was cut."""
    tasks = dict.fromkeys(row["task"] for row in sorted(found, key=lambda row: row["at"]))
    lines = [_line(task.rpartition(" : ")[2] or "before the first task", [row for row in found if row["task"] == task]) for task in tasks]
    return "\n".join([HEAD, "|---|--:|--:|--:|--:|", *lines, _line("**all**", found), ""])


def _line(name: str, found: Sequence[Row]) -> str:
    came_up = sum(row["booted"] for row in found)
    return f"| {name} | {len(found)} | {came_up} | {sum(row['certain'] for row in found)} | {sum(bool(row['wrong']) for row in found)} |"

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorded cuts, and their table in docs/reliability.md."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Mapping, Sequence
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.wording import counted
from ansible_collections.vfio.variants.tests import marked_page
from ansible_collections.vfio.variants.tests.faults.report import PAGE

BEGIN, END = "<!-- power cuts: written by tests/power_cuts/run -->", "<!-- end of power cuts -->"
HEAD = (
    "| the power was cut while | cuts | came up | owners predicted as certain | of these right | reported as unfinished "
    "| same files after the next run | wrong |"
)
STATES = "| digest of the code | commit | day | machines | cuts | wrong |"
Row = Mapping[str, t.Any]


def rows(path: Path) -> list[dict[str, t.Any]]:
    """The recorded ones; none where nothing is recorded."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def found(path: Path, named: Row) -> dict[str, t.Any] | None:
    """The recorded row of a cut."""
    return next((row for row in rows(path) if named.items() <= row.items()), None)


def add(path: Path, row: Row) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def write(shown: Sequence[Row]) -> None:
    """The page with the table of these cuts in place of the old one."""
    marked_page.rewrite(PAGE, BEGIN, END, f"\n{table(shown)}")


def table(shown: Sequence[Row]) -> str:
    """A line for each task of the playbook in which the power was cut, and one for each state of the code that was tried."""
    tasks = dict.fromkeys(row["task"] for row in sorted(shown, key=lambda row: row["at"]))
    lines = [_line(task.rpartition(" : ")[2] or "before the first task", [row for row in shown if row["task"] == task]) for task in tasks]
    states = _by_code(shown)
    summary = f"{counted(len(shown), 'cut')} at {counted(len(states), 'state')} of the collection's code, the oldest first:"
    below = ["", summary, "", STATES, "|---|---|---|--:|--:|--:|", *(_state(code, of) for code, of in states.items())]
    return "\n".join([HEAD, "|---|" + "--:|" * (1 + len(_COUNTS)), *lines, _line("**all**", shown), *below, ""])


def _by_code(found: Sequence[Row]) -> dict[str, list[Row]]:
    return {code: [row for row in found if row["code"] == code] for code in dict.fromkeys(row["code"] for row in found)}


def _state(code: str, found: Sequence[Row]) -> str:
    commits = ", ".join(f"`{one}`" for one in dict.fromkeys(row["commit"] for row in found))
    days = ", ".join(dict.fromkeys(row["day"] for row in found))
    machines = len({row["seed"] for row in found})
    return f"| `{code}` | {commits} | {days} | {machines} | {len(found)} | {sum(bool(row['wrong']) for row in found)} |"


_COUNTS = ("booted", "certain", "right", "unfinished", "same", "wrong")


def _line(name: str, found: Sequence[Row]) -> str:
    return f"| {' | '.join([name, str(len(found)), *(str(sum(_number(row[count]) for row in found)) for count in _COUNTS)])} |"


def _number(value: object) -> int:
    """A number itself, and for anything else whether there is something."""
    return value if isinstance(value, int) else int(bool(value))

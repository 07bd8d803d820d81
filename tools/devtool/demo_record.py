# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo printed when it was last recorded, and what is made of it: a picture, and a part of the README.

`make demo RECORD=1` records a run; `tools/python -m devtool.demo_record` draws the picture again.
"""

from __future__ import annotations

from pathlib import Path

from devtool.terminal_picture import picture

RECORD, PICTURE, README = "docs/demo.txt", "docs/images/demo.svg", "README.md"
TITLE = (
    "Output of make demo: before, nouveau owns the emulated V100; after a reboot its variant driver does, and nothing has touched the card"
)
# The picture ends before the times of the phases, which say more of the machine than of the collection.
PICTURE_ENDS = "phase "
FENCE = "```\n"


def pictured(record: str) -> list[str]:
    """The lines of a record that are in the picture, without blank ones at the end."""
    lines = record.splitlines()
    end = next((number for number, line in enumerate(lines) if line.startswith(PICTURE_ENDS)), len(lines))
    return "\n".join(lines[:end]).rstrip("\n").split("\n")


def in_readme(text: str) -> tuple[str, str, str]:
    """What stands before, in and after the fenced block with the record, which begins with a phase. ValueError without one."""
    before, found, rest = text.partition(f"{FENCE}===")
    record, closed, after = rest.partition(f"\n{FENCE}")
    if not found or not closed:
        raise ValueError("README.md has no block with the demo's output.")
    return before + FENCE, f"==={record}\n", FENCE + after


def draw(root: Path) -> None:
    """Make the picture and the README's block from the record."""
    record = (root / RECORD).read_text(encoding="utf-8")
    (root / PICTURE).write_text(picture(TITLE, pictured(record)), encoding="utf-8")
    before, _old, after = in_readme((root / README).read_text(encoding="utf-8"))
    (root / README).write_text(before + record + after, encoding="utf-8")


def keep(root: Path, lines: list[str]) -> None:
    """Record what was printed, and draw it."""
    (root / RECORD).write_text("\n".join(lines).strip("\n") + "\n", encoding="utf-8")
    draw(root)


if __name__ == "__main__":
    draw(Path(__file__).resolve().parents[2])

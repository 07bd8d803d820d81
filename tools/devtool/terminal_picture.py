# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of what a program printed: its lines as they are, wrapped where they are longer than the picture is wide."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from html import escape

COLUMNS = 116
ROW, LEFT, TOP, CHARACTER = 19, 18, 44, 7.83
STYLE = """  <style>
    text { font: 13px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #1f2328; white-space: pre }
    .frame { fill: #f6f8fa; stroke: #d1d9e0 }
    .button { fill: #d1d9e0 }
    .head { fill: #0550ae; font-weight: 600 }
    .more { fill: #59636e }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc }
      .frame { fill: #151b23; stroke: #3d444d }
      .button { fill: #3d444d }
      .head { fill: #79c0ff }
      .more { fill: #9198a1 }
    }
  </style>"""


def rows_of(lines: Sequence[str]) -> list[tuple[str, str]]:
    """What stands in each row, and its class: `head` for a phase, `more` for the rest of a line that is longer than a row."""
    found = []
    for line in lines:
        kind = "head" if line.startswith("===") else ""
        parts = textwrap.wrap(line, COLUMNS, drop_whitespace=False, replace_whitespace=False, break_on_hyphens=False) or [""]
        found += [(part, "more" if number else kind) for number, part in enumerate(parts)]
    return found


def picture(title: str, lines: Sequence[str]) -> str:
    """An SVG of these lines that is readable on light and on dark pages, and that a screen reader reads as text."""
    rows = rows_of(lines)
    width, height = round(2 * LEFT + COLUMNS * CHARACTER), TOP + len(rows) * ROW + 6
    buttons = "".join(f'<circle class="button" cx="{LEFT + 4 + 18 * number}" cy="17" r="5"/>' for number in range(3))
    texts = [
        f'  <text{f" class={kind!r}".replace(chr(39), chr(34)) if kind else ""} xml:space="preserve" x="{LEFT}" y="{TOP + number * ROW}">'
        f"{escape(text, quote=False)}</text>"
        for number, (text, kind) in enumerate(rows)
        if text
    ]
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title">',
            f'  <title id="title">{escape(title, quote=False)}</title>',
            STYLE,
            f'  <rect class="frame" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>',
            f"  {buttons}",
            *texts,
            "</svg>",
            "",
        ]
    )

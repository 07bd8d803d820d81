# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines in which a pattern is found."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    import re


def numbered_matches(pattern: re.Pattern[str], text: str, group: int | str = 0) -> t.Iterator[tuple[int, re.Match[str]]]:
    """Each match in a text, and the number of the line in which this group of it begins.

    Lines are counted on from the match before: counted from the text's beginning, a file with many matches takes a time that grows with
    the square of its size.
    """
    line, counted = 1, 0
    for match in pattern.finditer(text):
        start = match.start(group)
        line += text.count("\n", counted, start)
        counted = start
        yield line, match

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of `sort -V`, in which mkinitcpio joins files."""

from __future__ import annotations

import re
from itertools import zip_longest

ENDINGS = re.compile(r"(?:\.[A-Za-z~][A-Za-z0-9~]*)*$")


def sort_compare(left: str, right: str) -> int:
    """Negative if ``left`` comes first in `sort -V`.  As gnulib's filevercmp(): endings such as `.conf` count only where all else is alike.

    In text `~` is older than the end, which is older than a number, which is older than letters, which are older than other signs.
    """
    bare = [ENDINGS.sub("", name) for name in (left, right)]
    return _compare_runs(*bare) or _compare_runs(left, right) or (left > right) - (left < right)


def _compare_runs(left: str, right: str) -> int:
    for one, two in zip_longest(*(re.findall(r"([^0-9]*)([0-9]*)", name) for name in (left, right)), fillvalue=("", "")):
        for place in range(max(len(one[0]), len(two[0]))):
            this, other = (_sort_rank(text[place]) if place < len(text) else 0 if number else -1 for text, number in (one, two))
            if this != other:
                return this - other
        numbers = [(len(digits), digits) for digits in (one[1].lstrip("0"), two[1].lstrip("0"))]
        if numbers[0] != numbers[1]:
            return 1 if numbers[0] > numbers[1] else -1
    return 0


def _sort_rank(char: str) -> int:
    if char == "~":
        return -2
    return ord(char) if char.isascii() and char.isalpha() else ord(char) + 256

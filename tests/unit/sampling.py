# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cases of tests that take long run, where only a sample is asked for: by a number, such as a commit's, others each time."""

from __future__ import annotations

import typing as t
import zlib

if t.TYPE_CHECKING:
    import pytest

MARK = "sampled"
ABOUT = f"{MARK}(part): of so many of its cases one runs where --drawn-by gives a number, by that number each in turn"


def drawn(items: t.Sequence[pytest.Item], number: int) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """The tests that run, and those that do not.

    With so many numbers in a row as ``part`` says each case runs once.  Tests with few cases begin at places of their own, so that they
    do not all wait for the same number.
    """
    runs: list[pytest.Item] = []
    left: list[pytest.Item] = []
    seen: dict[str, int] = {}
    for item in items:
        mark = item.get_closest_marker(MARK)
        if mark is None:
            runs.append(item)
            continue
        function = item.nodeid.partition("[")[0]
        place = seen.setdefault(function, zlib.crc32(function.encode()))
        seen[function] = place + 1
        (left if (place + number) % mark.args[0] else runs).append(item)
    return runs, left

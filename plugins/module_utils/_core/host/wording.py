# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words that messages of all rooms are made of."""

from __future__ import annotations

import typing as t


def counted(number: int, noun: str) -> str:
    """``1 function``, ``2 functions``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(words: t.Sequence[str], most: int) -> str:
    """``a``, ``a and b``, ``a, b and c``; of more than `most`, the first ones and how many others: ``a, b and 2 more``."""
    shown = [*words[:most], *([f"{len(words) - most} more"] if len(words) > most else ())]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words that messages of all rooms are made of."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """``1 function``, ``2 functions``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"

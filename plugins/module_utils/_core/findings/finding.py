# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a host's policy, in the form in which it is reported."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Finding:
    """One contradiction, or one piece of policy without effect.

    ``kind`` stays the same for one cause; ``source`` is the place to change (file and line); ``sentence`` is for the operator:
    what stands where, what it means, what to do; ``devices`` are the addresses that it concerns, where it concerns some.
    """

    kind: str
    source: str
    sentence: str
    devices: tuple[str, ...] = ()


def listed(words: tuple[str, ...] | list[str]) -> str:
    """Words for a sentence, the first four of many."""
    shown = list(words[:4]) + ([f"{len(words) - 4} more"] if len(words) > 4 else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else ""

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which mutants are tried: a sample that a seed draws, with a share for each room and each file by its length."""

from __future__ import annotations

import random
import typing as t
from collections.abc import Collection, Mapping, Sequence

from ansible_collections.vfio.variants.tests.mutants.source import CORE, Mutant, mutants_of

ROOMS: t.Final = ("kernel", "udev", "claim", "forecast", "policy")


def texts(rooms: Sequence[str] = ROOMS) -> dict[str, str]:
    """The rooms' files by their paths below the core."""
    paths = (path for room in rooms for path in sorted((CORE / room).glob("*.py")))
    return {str(path.relative_to(CORE)): path.read_text(encoding="utf-8") for path in paths}


def drawn(files: Mapping[str, str], seed: str, count: int | None, left_out: Collection[str] = ()) -> list[Mutant]:
    """``count`` mutants, or all; without those whose names are ``left_out``, in whose place the file's next ones come.

    The files share the count by their lines, so a room's share is that of its code.
    """
    shuffled = {file: _shuffled(mutants_of(file, text), seed, file, left_out) for file, text in files.items()}
    if count is None:
        return [mutant for mutants in shuffled.values() for mutant in mutants]
    lengths = {file: len(files[file].splitlines()) for file, mutants in shuffled.items() if mutants}
    wanted = shares(lengths, {file: len(mutants) for file, mutants in shuffled.items()}, count)
    return [mutant for file, number in wanted.items() for mutant in shuffled[file][:number]]


def shares(weights: Mapping[str, int], limits: Mapping[str, int], count: int) -> dict[str, int]:
    """``count`` split by weight, largest remainders first, nobody getting more than there is; the rest goes to the others.

    Each gets one at the least, if there are enough.
    """
    given = {name: int(count >= len(weights) and limits[name] > 0) for name in weights}
    left = min(count, sum(limits[name] for name in weights)) - sum(given.values())
    while left:
        open_ones = {name: weight for name, weight in weights.items() if given[name] < limits[name]}
        total = sum(open_ones.values())
        exact = {name: left * weight / total for name, weight in open_ones.items()}
        whole = {name: min(int(part), limits[name] - given[name]) for name, part in exact.items()}
        if not any(whole.values()):
            ranked = sorted(exact, key=lambda name: (-exact[name], name))
            whole = dict.fromkeys(ranked[:left], 1)
        for name, number in whole.items():
            given[name] += number
        left -= sum(whole.values())
    return given


def _shuffled(mutants: Sequence[Mutant], seed: str, file: str, left_out: Collection[str]) -> list[Mutant]:
    order = random.Random(f"{seed} {file}")  # noqa: S311 - a draw that can be repeated
    return [mutant for mutant in order.sample(mutants, len(mutants)) if mutant.name not in left_out]

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the work of a parser grows with what it is given, in instructions of Python: the same on each machine, and however busy it is.

What a parser does with the square of its input takes hours with a file of the largest size that is read.
"""

from __future__ import annotations

import sys
import types
import typing as t

from ansible_collections.vfio.variants.tests.fuzz.target import SENTENCES

TIMES = 4
MOST = 1.6 * TIMES
"""By so much at most may the work grow where the input grows `TIMES` times: the square would be 16 times."""
SMALL = 5000
"""Instructions that are too few to tell."""


def repeated(unit: str, times: int) -> bytes:
    """The unit so many times, each time with its number in the place of ``{n}``."""
    return "".join(unit.format(n=number) if "{n}" in unit else unit for number in range(times)).encode("utf-8", "surrogateescape")


def instructions(work: t.Callable[[], object]) -> int:
    """How many of Python's instructions are carried out."""
    count = 0

    def trace(frame: types.FrameType, event: str, _argument: object) -> t.Any:
        nonlocal count
        if event == "opcode":
            count += 1
        else:
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def growth(parse: t.Callable[[bytes], object], unit: str, times: int) -> float:
    """By how much the work grows when there is `TIMES` times as much; 1 where it is too little to tell."""

    def work(data: bytes) -> int:
        def given() -> None:
            try:
                parse(data)
            except SENTENCES:
                return

        return instructions(given)

    # The first call reads what every call needs.
    work(b"")
    nothing = work(b"")
    few, many = (work(repeated(unit, number)) - nothing for number in (times, TIMES * times))
    return many / few if few > 0 and many > SMALL else 1.0

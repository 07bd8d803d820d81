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
ANYWHERE = (
    "a", " ", "\n", "a\n", "a ", "a=b\n", "\\\n", "\\", "{\n", "}\n", "(", "()", "[", "[a", "[!", '"', "'", "$(", "`", "${", "$", "a,", "/",
    "*", "?", "\udcff", "\udcff\n", "<a>", "<", ">", "<<a\n", "- ", "if true; then\n", "a\\\n", "#", "\0", "0", "a&&", "a|", "a;", "&",
    "case a in\n", "%", "@", "\t", "a()\n{\n", "for a in b; do\n", "a > b\n", "\r", "[x{n}]\n", "a{n}:\n", "<a{n}>", "- a{n}\n",
    "a{n}=b\n", "a{n}=$a{n}\n", "A=$A$A\n", "v{n}=$v\n", "f{n}() {{ a; }}\n", ". /a{n}\n", "/usr/bin/a{n}\n", "modprobe a{n}\n",
    "echo a > /sys/bus/pci/drivers/a{n}/unbind\n", "systemctl start a{n}\n", "case a{n} in\n", "${{a{n}", "$((a{n}+", "set a{n}=b\n",
)  # fmt: skip
"""``{n}`` is the number of the repetition."""


def repeated(unit: str, times: int) -> bytes:
    """The unit so many times, each time with its number."""
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

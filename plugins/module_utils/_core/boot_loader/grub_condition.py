# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB's `test` and `[`.  (GRUB: grub-core/commands/test.c)"""

from __future__ import annotations

import typing as t

Operand = t.Optional[str]
"""None if the value is unknown."""

TEXTS: dict[str, t.Callable[[str, str], bool]] = {
    "=": lambda left, right: left == right,
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}
NUMBERS: dict[str, t.Callable[[int, int], bool]] = {
    "-eq": lambda left, right: left == right,
    "-ne": lambda left, right: left != right,
    "-lt": lambda left, right: left < right,
    "-le": lambda left, right: left <= right,
    "-gt": lambda left, right: left > right,
    "-ge": lambda left, right: left >= right,
}
DEEPEST = 40


class GrubFiles(t.Protocol):
    """The file tests that a condition may use."""

    def has(self, path: str, kind: str) -> bool: ...


def holds(operands: t.Sequence[Operand], places: GrubFiles) -> bool | None:
    """Whether the condition holds; None if that depends on an unknown value, or the condition is malformed."""
    # Without an operand, as of a variable that is not set, GRUB's test holds.
    return _Test(operands, places).run() if operands else True


class _Test:
    def __init__(self, operands: t.Sequence[Operand], places: GrubFiles) -> None:
        self._operands = list(operands)
        self._places = places
        self._at = 0
        self._depth = 0

    def run(self) -> bool | None:
        found = self._any()
        return found if self._at >= len(self._operands) else None

    def _peek(self, ahead: int = 0) -> Operand:
        at = self._at + ahead
        return self._operands[at] if at < len(self._operands) else ""

    def _any(self) -> bool | None:
        return self._joined("-o", self._all, True)

    def _all(self) -> bool | None:
        return self._joined("-a", self._one, False)

    def _joined(self, operator: str, part: t.Callable[[], bool | None], deciding: bool) -> bool | None:
        """Parts joined by an operator: one that is `deciding` decides, even if others are unknown."""
        found = part()
        while self._peek() == operator:
            self._at += 1
            both = (found, part())
            found = deciding if deciding in both else None if None in both else not deciding
        return found

    def _one(self) -> bool | None:
        if self._at >= len(self._operands):
            return False
        left = len(self._operands) - self._at
        operator = self._peek(1)
        if left >= 3 and operator is not None and (operator in TEXTS or operator in NUMBERS):
            self._at += 3
            return _compared(self._operands[self._at - 3], operator, self._operands[self._at - 1])
        first = self._peek()
        if first == "!" and left >= 2:
            found = self._deeper(self._one)
            return None if found is None else not found
        if first == "(":
            found = self._deeper(self._any)
            self._at += 1
            return found
        if left >= 2 and first in ("-z", "-n", "-e", "-f", "-s", "-d"):
            self._at += 2
            return self._unary(first, self._operands[self._at - 1])
        self._at += 1
        return None if first is None else first != ""

    def _deeper(self, reader: t.Callable[[], bool | None]) -> bool | None:
        self._at += 1
        self._depth += 1
        if self._depth > DEEPEST:
            self._at = len(self._operands)
            return None
        found = reader()
        self._depth -= 1
        return found

    def _unary(self, operator: str, operand: Operand) -> bool | None:
        if operand is None:
            return None
        if operator in ("-z", "-n"):
            return (operand == "") == (operator == "-z")
        return self._places.has(operand, operator)


def _compared(left: Operand, operator: str, right: Operand) -> bool | None:
    if left is None or right is None:
        return None
    if operator in TEXTS:
        return TEXTS[operator](left, right)
    try:
        return NUMBERS[operator](int(left or "0"), int(right or "0"))
    except ValueError:
        return None

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the kernel takes the value that a module's parameter is given: each type has its own reader (kernel/params.c, lib/kstrtox.c).

A loadable module is not loaded where one of its parameters is refused.  For what is built in the kernel reports it, and goes on.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

# By STANDARD_PARAM_DEF() in kernel/params.c: the smallest and the largest value.
RANGES: t.Mapping[str, tuple[int, int]] = {
    "byte": (0, (1 << 8) - 1),
    "short": (-(1 << 15), (1 << 15) - 1),
    "ushort": (0, (1 << 16) - 1),
    "int": (-(1 << 31), (1 << 31) - 1),
    "uint": (0, (1 << 32) - 1),
    "hexint": (0, (1 << 32) - 1),
    "long": (-(1 << 63), (1 << 63) - 1),
    "ulong": (0, (1 << 64) - 1),
    "ullong": (0, (1 << 64) - 1),
}
BOOLEANS = ("bool", "bint")
"""Types that need no value: alone, the parameter is on (KERNEL_PARAM_OPS_FL_NOARG)."""
BEYOND, MOST_DIGITS = 1 << 64, 32
LONGEST_CHARP = 1024
"""The longest value of a charp (param_set_charp())."""
ARRAY = "array of "
# Linux 6.12 refuses `enable` and `disable`, 7.2 takes them.
_SINCE_A_WHILE = ("e", "E", "d", "D")
_NUMBER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0([0-7]+)|(0|[1-9][0-9]*))\n?")


@dataclasses.dataclass(frozen=True)
class ParameterType:
    """``kind`` as `modinfo` shows it (`int`, `array of bool`); empty for a parameter with a reader of its own.

    ``limit`` is the number of elements of an array, or the size of a string with its final NUL; None if that is not known.
    """

    kind: str
    limit: int | None = None


Types = t.Mapping[str, ParameterType]
"""By the parameter's normalized name."""


@dataclasses.dataclass(frozen=True)
class Objection:
    """Why a value is refused; if not ``certain``, why it may be."""

    why: str
    certain: bool = True


def objection(kind: ParameterType, value: str | None) -> Objection | None:
    """What a kernel objects to in a value; None if it takes it.  ``value`` is None where no `=` follows the name."""
    if kind.kind in BOOLEANS:
        return None if value is None else _of_boolean(value)
    if not _is_standard(kind.kind):
        return Objection("is read by the module's own code", certain=False)
    if value is None:
        return Objection("has no value")
    if kind.kind.startswith(ARRAY):
        return _of_array(ParameterType(kind.kind[len(ARRAY) :]), kind.limit, value)
    return _of_text(kind, value) if kind.kind in ("charp", "string") else _of_scalar(kind.kind, value)


def _is_standard(kind: str) -> bool:
    element = kind[len(ARRAY) :] if kind.startswith(ARRAY) else kind
    return element in RANGES or element in BOOLEANS or element in ("invbool", "charp", "string")


def _of_scalar(kind: str, value: str) -> Objection | None:
    if kind == "invbool":
        return _of_boolean(value)
    number = parse_number(value)
    smallest, largest = RANGES[kind]
    # kstrtoull() takes no `-`, whatever follows it.
    if number is None or (smallest == 0 and value.startswith("-")):
        return Objection(f"is not a number, which the parameter's type {kind} asks for")
    return None if smallest <= number <= largest else Objection(f"is out of the range of {kind}")


def _of_boolean(value: str) -> Objection | None:
    if parse_boolean(value) is not None:
        return None
    if value[:1] in _SINCE_A_WHILE:
        return Objection("is on or off to newer kernels alone", certain=False)
    return Objection("is neither on nor off, as a bool must be")


def _of_text(kind: ParameterType, value: str) -> Objection | None:
    size = len(value.encode("utf-8", "surrogateescape"))
    if kind.kind == "charp":
        return Objection(f"is longer than {LONGEST_CHARP} characters") if size > LONGEST_CHARP else None
    if kind.limit is None:
        # The smallest buffers of the kernel's own modules hold 16 characters.
        return Objection("may be longer than the module's buffer", certain=False) if size > 15 else None
    return Objection(f"is longer than {kind.limit - 1} characters") if size >= kind.limit else None


def _of_array(element: ParameterType, limit: int | None, value: str) -> Objection | None:
    """As param_array(): the elements are read one by one, up to the number that there is room for."""
    parts = value.split(",")
    for part in parts[:limit]:
        found = _of_boolean(part) if element.kind in BOOLEANS else objection(element, part)
        if found is not None:
            return dataclasses.replace(found, why=f"has an element that {found.why}")
    if limit is None:
        return Objection("may have more elements than there is room for", certain=False) if len(parts) > 1 else None
    return Objection(f"has more than {limit} elements") if len(parts) > limit else None


def parse_number(value: str) -> int | None:
    """As kstrtoull() and kstrtoll() with base 0: `0x` for hexadecimal, a leading nought for octal; None if that is not a number."""
    match = _NUMBER.fullmatch(value)
    if match is None:
        return None
    sign, hexadecimal, octal, decimal = match.groups()
    digits = (hexadecimal or octal or decimal).lstrip("0")
    # int() refuses some thousand digits; out of each range is out of each range.
    number = BEYOND if len(digits) > MOST_DIGITS else int(digits or "0", 16 if hexadecimal else 8 if octal else 10)
    return -number if sign == "-" else number


def parse_boolean(value: str) -> bool | None:
    """As kstrtobool(): only the first character counts, of `on` and `off` the second; None if it is neither."""
    first, second = value[:1], value[1:2]
    if first in ("o", "O"):
        return True if second in ("n", "N") else False if second in ("f", "F") else None
    if first and first in "yYtT1":
        return True
    return False if first and first in "nNfF0" else None


def switches_on(value: str | None) -> bool:
    """Whether a parameter with that value, or without one, is on (param_set_bool() in kernel/params.c)."""
    return value is None or parse_boolean(value) is True

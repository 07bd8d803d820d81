# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conditions of a shell's script that are written down in full, as `false` or `[ 0 = 1 ]`, and what they come to."""

from __future__ import annotations

import operator
import re
import typing as t

_PROGRAM = re.compile(r"(?:(?:/usr)?/bin/)?(true|false)|(:)")
_TEST = re.compile(r"(\[\[?|test)\s+(.*?)\s*(\]\]?)?")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_OPEN = re.compile(r"[$`\\*?]")
_WORD = re.compile(r"\"([^\"]*)\"|'([^']*)'|(\S+)")
_NUMERIC: t.Mapping[str, t.Callable[[int, int], bool]] = {
    "-eq": operator.eq,
    "-ne": operator.ne,
    "-lt": operator.lt,
    "-le": operator.le,
    "-gt": operator.gt,
    "-ge": operator.ge,
}
_EQUAL = {"=": True, "==": True, "!=": False}


def holds(condition: str, constants: t.Mapping[str, str]) -> bool | None:
    """Whether a condition holds; None if that is not written down.  ``constants`` are variables that never change."""
    text = condition.strip().rstrip(";").strip()
    negated = False
    while text.startswith("! "):
        negated, text = not negated, text[2:].strip()
    found = _plain(with_constants(text, constants))
    return None if found is None else found != negated


def with_constants(text: str, constants: t.Mapping[str, str]) -> str:
    """The text with the values of constants, of which a quoted or an unquoted one is one word, for they are words."""
    return re.sub(r"\$(?:(\w+)|\{(\w+)\})", lambda match: constants.get(match[1] or match[2], match[0]), text)


def _plain(text: str) -> bool | None:
    program = _PROGRAM.fullmatch(text)
    if program is not None:
        return program[1] != "false"
    arithmetic = re.fullmatch(r"\(\(\s*([0-9]{1,18})\s*\)\)", text)
    if arithmetic is not None:
        return int(arithmetic[1]) != 0
    test = _TEST.fullmatch(text)
    if test is None or _OPEN.search(text) or {"[": "]", "[[": "]]", "test": None}[test[1]] != test[3]:
        return None
    words = [one or other or bare for one, other, bare in _WORD.findall(test[2])]
    # dash's test(1) has no `==`, and fails.
    return None if test[1] != "[[" and "==" in words else _test(words)


def _test(words: list[str]) -> bool | None:
    if len(words) == 3 and words[1] in _EQUAL:
        return (words[0] == words[2]) == _EQUAL[words[1]]
    if len(words) == 3 and words[1] in _NUMERIC:
        numbers = [int(word) for word in (words[0], words[2]) if _NUMBER.fullmatch(word)]
        return _NUMERIC[words[1]](*numbers) if len(numbers) == 2 else None
    if len(words) == 2 and words[0] in ("-n", "-z"):
        return bool(words[1]) == (words[0] == "-n")
    if len(words) == 1:
        return bool(words[0])
    return False if not words else None

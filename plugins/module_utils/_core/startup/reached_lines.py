# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which lines of a shell's script are reached: none that comes after an `exit` which nothing surrounds."""

from __future__ import annotations

import re
import typing as t

_EXITS = re.compile(r"\s*exit(?:\s+\d+)?\s*;?\s*")
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|\\.|\$\{[^{}]*\}")
_WORD = re.compile(r"[;&|(){}!]|[^\s;&|(){}!]+")
# A text of several lines, patterns with one parenthesis, and what is run at the end.
_UNCLEAR = re.compile(r"[\"'`]|<<|\bcase\b|\btrap\b")
_CHANGES = {"if": 1, "do": 1, "(": 1, "{": 1, "fi": -1, "done": -1, ")": -1, "}": -1}
_BEFORE_A_COMMAND = frozenset(("then", "do", "else", "elif", "if", "while", "until", "time"))
_GOES_ON = re.compile(r"[&|]\s*$")


def reached(texts: t.Sequence[str]) -> int:
    """How many of a script's logical lines, without their comments, can be run; all of them where that is not clear."""
    depth, goes_on = 0, False
    for number, text in enumerate(texts):
        if depth == 0 and not goes_on and _EXITS.fullmatch(text):
            return number
        plain = _QUOTED.sub("_", text)
        if _UNCLEAR.search(plain):
            break
        depth += _deeper(plain)
        if depth < 0:
            break
        goes_on = _GOES_ON.search(plain) is not None
    return len(texts)


def _deeper(plain: str) -> int:
    """How many blocks a line opens, less those that it ends."""
    found, is_command = 0, True
    for word in _WORD.findall(plain):
        is_sign = len(word) == 1 and word in ";&|(){}!"
        if is_sign or is_command:
            found += _CHANGES.get(word, 0)
        is_command = is_sign or (is_command and word in _BEFORE_A_COMMAND)
    return found

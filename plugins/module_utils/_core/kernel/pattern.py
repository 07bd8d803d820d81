# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""fnmatch(3) without flags, which is how kmod and udev compare a name with a pattern.

It is not Python's fnmatch: `[^a]` excludes as `[!a]` does, a backslash takes away a sign's meaning, and classes such as
`[:digit:]` have one.
"""

from __future__ import annotations

import functools
import re
import typing as t

_SIGNS = re.compile(r"[*?\[\\]")
_BRACKET = re.compile(r"\[([!^]?)((?:\]|\\.|\[:[a-z]+:\]|[^\]\\])(?:\\.|\[:[a-z]+:\]|[^\]\\])*)\]", re.DOTALL)
_ELEMENT = re.compile(r"\[:([a-z]+):\]|(?:\\(.)|(.))(?:-(?:\\(.)|([^\\])))?", re.DOTALL)
_CLASSES: t.Mapping[str, str] = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": " \\t\\n\\v\\f\\r",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}
_NOTHING = "(?!)"
LONGEST = 4096
"""Characters of a pattern: no name and no path is longer, and none of an attribute's values."""


def is_pattern(text: str) -> bool:
    """Whether a text may match others than itself."""
    return _SIGNS.search(text) is not None


def matches(name: str, pattern: str) -> bool:
    """Whether the whole name matches.  A pattern that is longer than `LONGEST` matches nothing."""
    if len(pattern) > LONGEST:
        return False
    return name == pattern if not is_pattern(pattern) else _compiled(pattern).fullmatch(name) is not None


@functools.lru_cache(maxsize=32768)
def _compiled(pattern: str) -> re.Pattern[str]:
    first, *others = _parts(pattern)
    if not others:
        return re.compile(first, re.DOTALL)
    # Between two `*` the first place that fits is as good as any other: without the group, which is never tried again, a
    # pattern of many `*` takes for ever.
    middle = "".join(f"(?=(?P<part{number}>.*?{part}))(?P=part{number})" for number, part in enumerate(others[:-1]))
    return re.compile(f"{first}{middle}.*{others[-1]}", re.DOTALL)


def _parts(pattern: str) -> list[str]:
    """What stands before, between and behind the pattern's `*`, as regular expressions."""
    found = [""]
    position, last_end = 0, pattern.rfind("]")
    while position < len(pattern):
        sign = pattern[position]
        bracket = _BRACKET.match(pattern, position) if sign == "[" and position < last_end else None
        if sign == "*":
            found.append("")
        elif bracket is not None:
            found[-1] += _one_of(bracket[2], excluded=bool(bracket[1]))
        elif sign == "\\":
            # One at the very end escapes nothing, and such a pattern matches nothing.
            position += 1
            found[-1] += re.escape(pattern[position]) if position < len(pattern) else _NOTHING
        else:
            found[-1] += "." if sign == "?" else re.escape(sign)
        position = position + 1 if bracket is None else bracket.end()
    return found


def _one_of(elements: str, excluded: bool) -> str:
    """What stands between brackets; a range from a later sign to an earlier one is empty."""
    found = ""
    for name, escaped, plain, escaped_end, plain_end in _ELEMENT.findall(elements):
        first, last = escaped or plain, escaped_end or plain_end
        if name:
            found += _CLASSES.get(name, "")
        elif not last:
            found += re.escape(first)
        elif first <= last:
            found += f"{re.escape(first)}-{re.escape(last)}"
    if not found:
        return "." if excluded else _NOTHING
    return f"[{'^' if excluded else ''}{found}]"

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands between a rule's quotes: escapes, prefixes, and substitutions (udev_rule_parse_value() and udev_check_format())."""

from __future__ import annotations

import re
import typing as t

CASELESS_SINCE = 256
"""The first systemd whose udev knows the prefix `i`."""
_PREFIXES = re.compile(r"(e?i?|ie)(?=\")")
# Only \" is an escape in a plain value; the quote that ends it is one without a backslash.
_PLAIN = re.compile(r'"((?:[^"\\]|\\"|\\(?!"))*)"')
_ESCAPED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(?:([abfnrtvs\\\"'])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))")
_SIGNS: t.Mapping[str, str] = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "s": " ",
    **{sign: sign for sign in "\\\"'"},
}
_LARGEST_CHARACTER = 0x10FFFF

FORMATS: t.Mapping[str, str] = {
    "devnode": "N",
    "tempnode": "N",
    "attr": "s",
    "sysfs": "s",
    "env": "E",
    "kernel": "k",
    "number": "n",
    "driver": "d",
    "devpath": "p",
    "id": "b",
    "major": "M",
    "minor": "m",
    "result": "c",
    "parent": "P",
    "name": "D",
    "links": "L",
    "root": "r",
    "sys": "S",
}
"""The long names of substitutions, and the letters that follow `%`."""
_NAMES = "|".join(FORMATS)
_LETTERS = "".join(sorted(set(FORMATS.values())))
_FORMAT = re.compile(rf"\$\$|%%|(?:\$({_NAMES})|%([{_LETTERS}]))(\{{[^}}]+\}})?")
_NEEDS_ATTRIBUTE = ("s", "E")
_RESULT = "c"
_NUMBER = re.compile(r"\{\s*[0-9]+\+?\}")
_SIGN = re.compile(r"[$%]")


class InvalidValueError(ValueError):
    """udev does not accept what follows an operator."""


def parse_value(line: str, position: int, version: int | None) -> tuple[str, bool, int]:
    """The value at this position, whether it ignores case, and where it ends.  Without a version udev is taken to be a new one."""
    prefixes = _PREFIXES.match(line, position)
    if prefixes is None or ("i" in prefixes[1] and version is not None and version < CASELESS_SINCE):
        raise InvalidValueError(line)
    escaped = "e" in prefixes[1]
    found = (_ESCAPED if escaped else _PLAIN).match(line, prefixes.end())
    if found is None:
        raise InvalidValueError(line)
    value = _unescape(found[1]) if escaped else found[1].replace('\\"', '"')
    return value, "i" in prefixes[1], found.end()


def _unescape(text: str) -> str:
    """As cunescape(): C's escapes, and nothing else after a backslash; the result may not hold a zero."""
    parts, position = [], 0
    for found in re.finditer(r"\\", text):
        if found.start() < position:
            continue
        match = _ESCAPE.match(text, found.start())
        if match is None:
            raise InvalidValueError(text)
        parts.append(text[position : found.start()])
        parts.append(_SIGNS[match[1]] if match[1] else _character(match))
        position = match.end()
    return "".join((*parts, text[position:]))


def _character(match: re.Match[str]) -> str:
    number = int(match[5], 8) if match[5] else int(match[2] or match[3] or match[4], 16)
    if not 0 < number <= _LARGEST_CHARACTER or (match[5] and number > 0xFF) or (not (match[2] or match[5]) and _is_none(number)):
        raise InvalidValueError(match[0])
    return chr(number)


def _is_none(number: int) -> bool:
    """Whether Unicode has no character of this number (unichar_is_valid())."""
    return 0xD800 <= number < 0xE000 or 0xFDD0 <= number <= 0xFDEF or number & 0xFFFE == 0xFFFE


class Substitution(t.NamedTuple):
    """One of a value's substitutions: its letter (for `$$` and `%%` the sign), what stands in braces after it, and its place."""

    letter: str
    attribute: str | None
    start: int
    end: int


def substitutions(value: str) -> t.Iterator[Substitution]:
    """Those that udev carries out.  It leaves what it does not know as it stands, and takes nothing from one on that is incomplete."""
    for _start, match in _signs(value):
        if match is not None:
            if _ends_value(match, value):
                return
            letter = FORMATS[match[1]] if match[1] else match[2] or match[0][0]
            yield Substitution(letter, match[3][1:-1] if match[3] else None, match.start(), match.end())


def taken(value: str) -> str:
    """A value up to the first substitution that is incomplete, as `%E{` or `$attr` (udev_event_apply_format())."""
    ends = (at for at, match in _signs(value) if match is not None and _ends_value(match, value))
    return value[: next(ends, len(value))]


def wrong_substitution(value: str) -> str | None:
    """The part of a value that udev does not take for a substitution though it looks like one; None if there is none."""
    start = next((at for at, match in _signs(value) if match is None or _is_incomplete(match, value)), None)
    return None if start is None else value[start:]


def _signs(value: str) -> t.Iterator[tuple[int, re.Match[str] | None]]:
    """Where a substitution may begin, and what stands there; None where it is none."""
    position = 0
    while True:
        found = _SIGN.search(value, position)
        if found is None:
            return
        match = _FORMAT.match(value, found.start())
        yield found.start(), match
        position = found.start() + 1 if match is None else match.end()


def _is_incomplete(match: re.Match[str], value: str) -> bool:
    wrong_number = _letter(match) == _RESULT and match[3] is not None and _NUMBER.fullmatch(match[3]) is None
    return wrong_number or _ends_value(match, value)


def _ends_value(match: re.Match[str], value: str) -> bool:
    letter = _letter(match)
    if letter and value[match.end() : match.end() + 1] == "{" and not match[3]:
        return True
    return letter in _NEEDS_ATTRIBUTE and not match[3]


def _letter(match: re.Match[str]) -> str:
    """Empty for a sign that stands for itself."""
    return FORMATS[match[1]] if match[1] else match[2] or ""

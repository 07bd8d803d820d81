# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The version comparisons of boot loaders and of systemd."""

from __future__ import annotations

import re

RPM_SEGMENT = re.compile(r"[0-9]+|[A-Za-z]+|~", re.ASCII)
UNKNOWN = re.compile(r"[^0-9A-Za-z~^.-]*", re.ASCII)
DIGITS, LETTERS = re.compile(r"[0-9]*", re.ASCII), re.compile(r"[A-Za-z]*", re.ASCII)


def rpm_compare(left: str, right: str) -> int:
    """Negative if ``left`` is older.  As rpm's rpmvercmp() and GRUB's blscfg."""
    if left == right:
        return 0
    lefts, rights = RPM_SEGMENT.findall(left), RPM_SEGMENT.findall(right)
    for one, two in zip(lefts, rights):
        if one == two:
            continue
        if "~" in (one, two):
            return -1 if one == "~" else 1
        if one.isdigit() != two.isdigit():
            return 1 if one.isdigit() else -1
        if one.isdigit() and _number(one) == _number(two):
            continue
        smaller = _number(one) < _number(two) if one.isdigit() else one < two
        return -1 if smaller else 1
    if len(lefts) == len(rights):
        return 0
    longer, sign = (lefts, 1) if len(lefts) > len(rights) else (rights, -1)
    return -sign if longer[min(len(lefts), len(rights))] == "~" else sign


def package_parts(name: str) -> tuple[str, str, str]:
    """Name, version and release of `name-version-release`; missing parts are empty."""
    parts = [*name.rsplit("-", 2), "", ""]
    return parts[0], parts[1], parts[2]


def package_compare(left: str, right: str) -> int:
    """GRUB's order of BLS entries by file name: by name, then version, then release."""
    pairs = zip(package_parts(left), package_parts(right))
    return next((order for order in (rpm_compare(one, two) for one, two in pairs) if order), 0)


def uapi_compare(left: str, right: str) -> int:
    """Negative if ``left`` is older by the UAPI group's version format.  As systemd's strverscmp_improved().

    `~` is older than the end, which is older than `-`, `^`, `.`, numbers, and letters before numbers.
    """
    at, beside = 0, 0
    while True:
        at, beside = _end(UNKNOWN, left, at), _end(UNKNOWN, right, beside)
        for separator in "~-^.":
            has, other_has = left.startswith(separator, at), right.startswith(separator, beside)
            if has != other_has:
                return -1 if has else 1
            at, beside = at + has, beside + has
            if separator == "~" and (at == len(left) or beside == len(right)):
                return (at < len(left)) - (beside < len(right))
        is_number = left[at : at + 1].isdigit() or right[beside : beside + 1].isdigit()
        kind = DIGITS if is_number else LETTERS
        one, two = left[at : _end(kind, left, at)], right[beside : _end(kind, right, beside)]
        at, beside = at + len(one), beside + len(two)
        if is_number and one and two:
            one_key, two_key = _number(one), _number(two)
            if one_key != two_key:
                return -1 if one_key < two_key else 1
        elif one != two:
            return -1 if one < two else 1


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Where the signs of a pattern, of which there may be none, end."""
    found = pattern.match(text, at)
    return at if found is None else found.end()


def _number(digits: str) -> tuple[int, str]:
    """A sort key for numbers of any length: int() refuses more than some thousand digits."""
    bare = digits.lstrip("0")
    return len(bare), bare

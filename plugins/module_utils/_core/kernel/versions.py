# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The version comparisons of boot loaders and of systemd."""

from __future__ import annotations

import re

RPM_SEGMENT = re.compile(r"[0-9]+|[A-Za-z]+|~", re.ASCII)
PIECE = re.compile(r"[0-9]+|[A-Za-z]+|[~^.-]", re.ASCII)
SEPARATORS = "~-^."


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
    lefts, rights = PIECE.findall(left), PIECE.findall(right)
    for at in range(max(len(lefts), len(rights))):
        one = lefts[at] if at < len(lefts) else ""
        two = rights[at] if at < len(rights) else ""
        if one == two:
            continue
        if one[:1].isdigit() and two[:1].isdigit():
            if _number(one) != _number(two):
                return -1 if _number(one) < _number(two) else 1
            continue
        if one.isalpha() and two.isalpha():
            return -1 if one < two else 1
        return -1 if _rank(one) < _rank(two) else 1
    return 0


def _number(digits: str) -> tuple[int, str]:
    """A sort key for numbers of any length: int() refuses more than some thousand digits."""
    bare = digits.lstrip("0")
    return len(bare), bare


def _rank(piece: str) -> int:
    """The order is: ~, end, -, ^, ., letters, digits."""
    if not piece:
        return 1
    if piece in SEPARATORS:
        return {"~": 0, "-": 2, "^": 3, ".": 4}[piece]
    return 6 if piece.isdigit() else 5

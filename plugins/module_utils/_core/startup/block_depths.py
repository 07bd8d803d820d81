# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many blocks each piece of a shell's script is in, and where a block ends."""

from __future__ import annotations

import re
import typing as t

QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|\\.|\$\{[^{}]*\}")
_WORD = re.compile(r"[;&|(){}!]|[^\s;&|(){}!]+")
# A text of several lines, and what is run at the end.
_UNCLEAR = re.compile(r"[\"'`]|\btrap\b|<<<")
_HERE = re.compile(r"<<-?\s*[\"']?(\w+|#+)[\"']?")
_CHANGES = {"if": 1, "do": 1, "case": 1, "(": 1, "{": 1, "fi": -1, "done": -1, "esac": -1, ")": -1, "}": -1}
_BEFORE_A_COMMAND = frozenset(("then", "do", "else", "elif", "if", "while", "until", "time"))
GOES_ON = re.compile(r"[&|]\s*$")


class Depth(t.NamedTuple):
    """``text`` is None in a text for a command; ``starts`` is False where the piece goes on with the one before."""

    depth: int
    text: str | None
    starts: bool


def depths_of(texts: t.Sequence[str]) -> list[Depth]:
    """How many blocks each piece is in, up to the first one of which that is not clear."""
    return list(_depths(texts))


def _depths(texts: t.Sequence[str]) -> t.Iterator[Depth]:
    depth, goes_on, until, cases = 0, False, "", 0
    for place, text in enumerate(texts):
        if until:
            until = "" if text.strip() == until else until
            yield Depth(depth, None, False)
            continue
        plain = QUOTED.sub("_", text)
        here = _HERE.search(text)
        if here is not None:
            plain = _HERE.sub(" ", QUOTED.sub(lambda found: found[0] if _HERE.search(found[0]) else "_", text)).replace('"', "")
            until = here[1] if any(one.strip() == here[1] for one in texts[place + 1 :]) else ""
        yield Depth(depth, text, not goes_on)
        if _UNCLEAR.search(plain) or (here is not None and not until):
            return
        change, cases = _deeper(plain, cases)
        depth += change
        if depth < 0:
            return
        goes_on = GOES_ON.search(plain) is not None


def _deeper(plain: str, cases: int) -> tuple[int, int]:
    """How many blocks a piece opens, less those that it ends, and in how many `case` it leaves the script: there patterns end with `)`."""
    found, is_command = 0, True
    for word in _WORD.findall(plain):
        is_sign = len(word) == 1 and word in ";&|(){}!"
        if is_sign or is_command:
            cases += {"case": 1, "esac": -1}.get(word, 0)
            found += 0 if cases and word in "()" else _CHANGES.get(word, 0)
        is_command = is_sign or (is_command and word in _BEFORE_A_COMMAND)
    return found, max(cases, 0)


def end_of(place: int, closes: re.Pattern[str], texts: t.Sequence[str], depths: t.Sequence[Depth]) -> int | None:
    """The piece that ends the block which piece ``place``, or the one behind it, opens."""
    inside = depths[place].depth + 1
    for one in range(place + 1, len(depths)):
        if depths[one].depth == inside and closes.fullmatch(texts[one]):
            return one
        if depths[one].depth < inside and one > place + 1:
            return None
    return None

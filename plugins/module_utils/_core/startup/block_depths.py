# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many blocks each piece of a shell's script is in, and where a block ends."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.startup import here_documents

QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|\\.|\$\{[^{}]*\}")
_WORD = re.compile(r"[;&|(){}!]|[^\s;&|(){}!]+")
# A text of several lines, and what is run at the end.
_UNCLEAR = re.compile(r"[\"'`]|\btrap\b|<<")
_CHANGES = {"if": 1, "do": 1, "case": 1, "(": 1, "{": 1, "fi": -1, "done": -1, "esac": -1, ")": -1, "}": -1}
_BEFORE_A_COMMAND = frozenset(("then", "do", "else", "elif", "if", "while", "until", "time"))
GOES_ON = re.compile(r"[&|]\s*$")


class Depth(t.NamedTuple):
    """``text`` is None in a text for a command; ``starts`` is False where the piece goes on with the one before.

    ``lowest`` is the depth to which it goes back, as `fi; if …; then` in one piece.
    """

    depth: int
    text: str | None
    starts: bool
    lowest: int


def depths_of(texts: t.Sequence[str]) -> list[Depth]:
    """How many blocks each piece is in, up to the first one of which that is not clear."""
    return list(_depths(texts))


def _depths(texts: t.Sequence[str]) -> t.Iterator[Depth]:
    depth, goes_on, cases = 0, False, 0
    until: here_documents.HereDocument | None = None
    ends = here_documents.TextEnds(enumerate(texts))
    for place, text in enumerate(texts):
        if until is not None:
            until = None if until.ends(text) else until
            yield Depth(depth, None, False, depth)
            continue
        plain = QUOTED.sub("_", here_documents.without_operators(text))
        documents = here_documents.of(text)
        change, lowest, cases = _deeper(plain, cases)
        yield Depth(depth, text, not goes_on, depth + lowest)
        if _UNCLEAR.search(plain) or len(documents) > 1 or depth + lowest < 0:
            return
        if documents and not ends.has(until := documents[0], place):
            return
        depth += change
        goes_on = GOES_ON.search(plain) is not None


def _deeper(plain: str, cases: int) -> tuple[int, int, int]:
    """How many blocks a piece opens, less those that it ends, the least of that within it, and in how many `case` it leaves the script:
    there patterns end with `)`."""
    found, lowest, is_command = 0, 0, True
    for word in _WORD.findall(plain):
        is_sign = len(word) == 1 and word in ";&|(){}!"
        if is_sign or is_command:
            cases += {"case": 1, "esac": -1}.get(word, 0)
            found += 0 if cases and word in "()" else _CHANGES.get(word, 0)
            lowest = min(lowest, found)
        is_command = is_sign or (is_command and word in _BEFORE_A_COMMAND)
    return found, lowest, max(cases, 0)


def end_of(place: int, closes: re.Pattern[str], texts: t.Sequence[str], depths: t.Sequence[Depth]) -> int | None:
    """The piece that ends the block which piece ``place``, or the one behind it, opens."""
    inside = depths[place].depth + 1
    for one in range(place + 1, len(depths)):
        if depths[one].depth == inside and closes.fullmatch(texts[one]):
            return one
        if one > place + 1 and depths[one].lowest < inside:
            return None
    return None

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which blocks of a shell's script are run for certain, and which clauses of a `case` never, by what is written down."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.startup.block_depths import Depth, end_of
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.literal_conditions import holds, with_constants

IF, ELIF, LOOP = re.compile(r"\s*if\s+(.+)"), re.compile(r"\s*elif\s+(.+)"), re.compile(r"\s*(while|until)\s+(.+?)\s*(?:;\s*do)?\s*")
THEN, ELSE, FI, DO, DONE, ESAC = (re.compile(rf"\s*{word}\s*;?\s*") for word in ("then", "else", "fi", "do", "done", "esac"))
OPENS, CLOSES = re.compile(r"\s*\{\s*"), re.compile(r"\s*\}\s*;?\s*")
WITH_THEN = re.compile(r"\s*if\s+(.+?)\s*;\s*then\s*")
SHORT = re.compile(r"\s*((?:!\s+)?(?:\S*/)?(?:true|false|:)|\[\[?\s[^;&|]+\])\s*(&&|\|\|)\s*(.+)")
FUNCTION = re.compile(r"\s*(?:function\s+([\w.:-]+)\s*(?:\(\s*\))?|([\w.:-]+)\s*\(\s*\))\s*(\{?)\s*")
_FOR = re.compile(r"\s*for\s+\w+\s+in\s+[\w./:-][^`]*")
_CASE = re.compile(r"\s*case\s+(\S+)\s+in\s*")
_PATTERN = re.compile(r"\s*\(?\s*([^()]+?)\s*\)\s*")
# The end of a clause in a piece that could not be split.
_ENDS_WITHIN = re.compile(r"\S\s*;;|;;&?\s*[^\s&]|\S\s*;&")
_LEAVES = re.compile(r"\b(?:break|continue)\b")
_LITERAL = re.compile(r"[\w./:+-]*")
DEEPEST = 20
"""So deep blocks are followed: the end of each is looked for."""

Constants = t.Mapping[str, tuple[int, str]]
"""Variables that never change, each with the piece that sets it, and its value."""


def known_before(constants: Constants, place: int) -> dict[str, str]:
    return {name: value for name, (since, value) in constants.items() if since < place}


def knows_letters(texts: t.Iterable[str]) -> bool:
    """Whether a `case` of the script tells capital letters from small ones (`shopt -s nocasematch` of bash(1))."""
    return not any("nocasematch" in text for text in texts)


class Clause(t.NamedTuple):
    """A clause of a `case`: where its pattern stands, where it ends, whether it is run, None if that is not known."""

    start: int
    end: int
    is_run: bool | None


def clauses(place: int, texts: t.Sequence[str], depths: t.Sequence[Depth], constants: Constants) -> tuple[Clause, ...]:
    """Those of the `case` in that place; none if it is not one, or cannot be read."""
    head = _CASE.fullmatch(texts[place]) if depths[place].depth < DEEPEST else None
    end = None if head is None else end_of(place, ESAC, texts, depths)
    if head is None or end is None:
        return ()
    inside = depths[place].depth + 1
    subject = _plain(head[1], known_before(constants, place))
    marks = [one for one in range(place + 1, end) if depths[one].depth == inside and texts[one].strip() in (";;", ";&", ";;&")]
    if any(texts[one].strip() != ";;" for one in marks) or any(map(_ENDS_WITHIN.search, texts[place + 1 : end])):
        return ()
    found: list[Clause] = []
    start = place + 1
    before: bool | None = False
    for stop in (*marks, end):
        pattern = _PATTERN.fullmatch(texts[start]) if start < stop else None
        if start >= end:
            break
        if pattern is None:
            return ()
        agrees = False if before else _agrees(subject, pattern[1])
        # What comes behind a clause of which that is not known is not known either.
        before = True if agrees else before if agrees is False else None
        found.append(Clause(start, stop, agrees if before is not None or agrees is False else None))
        if before is None:
            return (*found, *_open_ones(stop, (*marks, end), end))
        start = stop + 1
    return tuple(found)


def _open_ones(stop: int, marks: t.Sequence[int], end: int) -> t.Iterator[Clause]:
    start = stop + 1
    for one in (mark for mark in marks if mark > stop):
        if start < end:
            yield Clause(start, one, None)
        start = one + 1


def _plain(word: str, known: t.Mapping[str, str]) -> str | None:
    """The text of a word; None if it is not written down."""
    text = with_constants(word, known).replace('"', "").replace("'", "")
    return text if _LITERAL.fullmatch(text) else None


def _agrees(subject: str | None, patterns: str) -> bool | None:
    raw = [one.strip() for one in patterns.split("|")]
    alternatives = [one.strip("\"'") for one in raw]
    if "*" in raw:
        return True
    if subject is None or not all(map(_LITERAL.fullmatch, alternatives)):
        return None
    return subject in alternatives


def blocks_run(texts: t.Sequence[str], depths: t.Sequence[Depth], constants: Constants) -> t.Iterator[tuple[int, bool]]:
    """For each piece whether the blocks that it is in are run for certain, if the script comes to the outermost of them."""
    open_: list[bool] = []
    decided: list[bool | None] = []
    started: dict[int, bool] = {}
    is_left, reads_cases = any(map(_LEAVES.search, texts)), knows_letters(texts)
    for place, (depth, text, starts, _lowest) in enumerate(depths):
        if place:
            del open_[depths[place - 1].lowest :], decided[depths[place - 1].lowest :]
        if place and depth > len(open_):
            more = depth - len(open_)
            opened = _opened(place - 1, texts, depths, constants, is_left) if more == 1 and depth <= DEEPEST else None
            open_ += [bool(opened) and depths[place - 1].starts] * more
            decided += [opened] * more
            of_case = clauses(place - 1, texts, depths, constants) if reads_cases else ()
            started.update((clause.start, clause.is_run is True) for clause in of_case)
        del open_[depth:], decided[depth:]
        if depth and text is not None:
            if place in started:
                open_[-1] = started[place]
            elif ELSE.fullmatch(text) is not None:
                open_[-1] = decided[-1] is False
            elif ELIF.fullmatch(text) is not None:
                decided[-1], open_[-1] = None, False
        yield place, starts and all(open_)


def _opened(place: int, texts: t.Sequence[str], depths: t.Sequence[Depth], constants: Constants, is_left: bool) -> bool | None:
    """Whether the block is run which a piece opens; of an `if` False where its other branch is.

    ``is_left``: some loop may be left before its end.
    """
    text, known = texts[place], known_before(constants, place)
    condition = WITH_THEN.fullmatch(text) or IF.fullmatch(text)
    if condition is not None:
        comes_true = holds(condition[1], known)
        return None if comes_true is None or end_of(place, FI, texts, depths) is None else comes_true
    if OPENS.fullmatch(text):
        is_body = place > 0 and FUNCTION.fullmatch(texts[place - 1]) is not None
        return None if is_body else end_of(place, CLOSES, texts, depths) is not None
    chained = SHORT.fullmatch(text)
    if chained is not None and OPENS.fullmatch(chained[3]):
        decides = holds(chained[1], known)
        return decides is not None and decides == (chained[2] == "&&") and end_of(place, CLOSES, texts, depths) is not None
    if DO.fullmatch(text) is None or not place or is_left or end_of(place, DONE, texts, depths) is None:
        return None
    loop = LOOP.fullmatch(texts[place - 1])
    if loop is None:
        return _FOR.fullmatch(texts[place - 1]) is not None
    return holds(loop[2], known) == (loop[1] == "while")

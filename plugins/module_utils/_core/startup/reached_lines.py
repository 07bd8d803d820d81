# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a shell's script is reached: nothing behind an `exit` to which it is sure to come, in a branch whose condition is written
down and does not hold, or in a function that nothing calls."""

from __future__ import annotations

import re
import typing as t
from collections import Counter

from ansible_collections.vfio.variants.plugins.module_utils._core.startup.block_depths import GOES_ON, QUOTED, Depth, depths_of, end_of
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.blocks_run import (
    CLOSES,
    DEEPEST,
    DONE,
    ELIF,
    ELSE,
    FI,
    FUNCTION,
    IF,
    LOOP,
    OPENS,
    SHORT,
    THEN,
    WITH_THEN,
    Constants,
    blocks_run,
    clauses,
    known_before,
    knows_letters,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.line_pieces import pieces
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.literal_conditions import holds
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.printing_commands import without_printing

_EXITS = re.compile(r"\s*exit(?:\s+(?:\d+|\$\?|\"?\$\{?\w+\}?\"?))?\s*;?\s*")
# Without a program exec only moves the script's own output, as where variables without quotes, or arguments, are empty.
_MAY_BE_NONE = r"(?!\"?\$\{?[@*]|\$\(|(?:\$(?:\w+|\{[^}]*\}))+(?=[\s;]|$))"
_BECOMES = re.compile(rf"\s*exec\s+(?:-a\s+\S+\s+|-[cl]+\s+)*{_MAY_BE_NONE}[\w./\"'$~-](?:\d?[<>]+&\d|[^;&|])*;?\s*")
_REDIRECTS = re.compile(r"\s*exec\s+(?:\d+|\{\w+\})?[<>]")
_IN_ONE_LINE = re.compile(r"\s*if\s+([^;]+);\s*then\s+((?:(?!\b(?:else|elif|fi|if)\b).)*);\s*fi\s*;?\s*")
_FUNCTION_IN_LINE = re.compile(r"\s*(?:function\s+([\w.:-]+)\s*(?:\(\s*\))?|([\w.:-]+)\s*\(\s*\))\s*\{\s[^{}]*\}\s*;?\s*")
# By which a function can be called whose name is not written there.
_CALLS_ANY = re.compile(
    r"(?:^|[;&|(){`!]|\b(?:then|do|else|if|elif|while|until|exec|command|time)\s)\s*[\"']?[\w.-]*[$`]|\b(?:eval|compgen|alias)\b|\bdeclare\s+-[fF]"
)
_SOURCES = re.compile(r"(?:^|[\s;&|({])(?:\.|source)\s")
_CONSTANT = re.compile(r"\s*(?:readonly\s+)?([A-Za-z_]\w*)=(?:\"([\w.-]*)\"|'([\w.-]*)'|([\w.-]*))\s*;?\s*")
_CHANGES_ANY = re.compile(r"\b(?:eval|getopts|mapfile|readarray)\b")
_NAME = re.compile(r"(?<![$\w{!#])[A-Za-z_]\w*")
_IF_UNSET = re.compile(r"\{([A-Za-z_]\w*):?=")
# `printf -vNAME` and the like.
_OPTION = re.compile(r"(?<!\S)-([A-Za-z]\w{1,60})(?!\S)")
# Commands by which it is known what is run, as functions and aliases of the script.
_OWN = r"(?:true|false|exit|exec|return|test|:|\[)"
_REPLACES = re.compile(rf"(?<![\w.-])(?:function\s+{_OWN}(?!\S)|{_OWN}\s*\(\s*\))|\balias\s.*(?<![\w.-]){_OWN}=")
_CALLED_BY_BASH = "command_not_found_handle"
_OF_GRAMMAR = re.compile(r"\s*(?:then|do|else|\{|.*\bin|[^()]*\))\s*")


def reached(lines: t.Sequence[str]) -> int:
    """How many of a script's logical lines, without their comments, can be run, the last of them included, by which the script ends.

    All of them where that is not clear.
    """
    parts = pieces(lines)
    end = _end([part.text for part in parts])
    return len(lines) if end is None else parts[end].place + 1


def alive(lines: t.Sequence[str], is_run: bool) -> list[str | None]:
    """What of each logical line can be run; None if nothing.

    ``is_run`` if the script is a program of its own, whose functions nobody else calls.
    """
    parts = pieces(lines)
    texts = [part.text for part in parts]
    end = _end(texts)
    kept = texts if end is None else texts[: end + 1]
    dead = dropped(kept, is_run)
    found: list[str | None] = list(lines)
    left: dict[int, list[str]] = {part.place: [] for place, part in enumerate(parts) if place >= len(kept) or place in dead}
    for place, part in enumerate(parts):
        if part.place in left and place < len(kept) and place not in dead:
            left[part.place].append(part.text)
    for line, rest in left.items():
        found[line] = _joined(rest) if rest else None
    return found


def _joined(texts: t.Sequence[str]) -> str:
    return "".join(text if place == len(texts) - 1 or _OF_GRAMMAR.fullmatch(text) else f"{text};" for place, text in enumerate(texts))


def _end(texts: t.Sequence[str]) -> int | None:
    """The piece by which the script ends; None if that is not clear."""
    if any(map(_REPLACES.search, texts)):
        return None
    goes_on_after_exec = any("execfail" in text for text in texts)
    depths = depths_of(texts)
    constants = _constants(texts, depths)
    for place, is_run in blocks_run(texts, depths, constants):
        text = texts[place]
        if not is_run:
            continue
        chained = SHORT.fullmatch(text)
        if chained is not None:
            decides = holds(chained[1], known_before(constants, place))
            text = chained[3] if decides is not None and decides == (chained[2] == "&&") else ""
        if _EXITS.fullmatch(text) or (not goes_on_after_exec and _becomes_another(text)):
            return place
    return None


def _becomes_another(text: str) -> bool:
    return _BECOMES.fullmatch(text) is not None and _REDIRECTS.match(text) is None


def dropped(texts: t.Sequence[str], is_run: bool) -> frozenset[int]:
    """The places of pieces that are never run."""
    if any(map(_REPLACES.search, texts)):
        return frozenset()
    depths = depths_of(texts)
    constants = _constants(texts, depths)
    reads_cases = knows_letters(texts)
    dead: set[int] = set()
    for place, text in enumerate(texts[: len(depths)]):
        # After `&&` and `||` a piece is a part of the list of commands before it.
        if place not in dead and not (place and GOES_ON.search(texts[place - 1])):
            of_case = clauses(place, texts, depths, constants) if reads_cases and depths[place].depth <= DEEPEST else ()
            dead.update(one for clause in of_case if clause.is_run is False for one in range(clause.start + 1, clause.end))
            dead.update(_not_taken(place, text, texts, depths, constants))
    if is_run and not any(_SOURCES.search(text) or _CALLS_ANY.search(text) for text in texts):
        dead |= _uncalled(texts, depths, dead)
    return frozenset(dead)


# -- branches


def _not_taken(place: int, text: str, texts: t.Sequence[str], depths: t.Sequence[Depth], constants: Constants) -> t.Iterable[int]:
    if depths[place].depth > DEEPEST:
        return ()
    known = known_before(constants, place)
    whole = _IN_ONE_LINE.fullmatch(text) or SHORT.fullmatch(text)
    if whole is not None and whole.re is _IN_ONE_LINE:
        return (place,) if holds(whole[1], known) is False else ()
    if whole is not None:
        return _not_chained(place, whole, texts, depths, known)
    loop = LOOP.fullmatch(text)
    if loop is not None:
        comes_true = holds(loop[2], known)
        end = end_of(place, DONE, texts, depths)
        return range(place, end + 1) if end is not None and comes_true is not None and comes_true == (loop[1] == "until") else ()
    with_then = WITH_THEN.fullmatch(text)
    found = with_then or (IF.fullmatch(text) if place + 1 < len(depths) and THEN.fullmatch(texts[place + 1]) else None)
    comes_true = None if found is None else holds(found[1], known)
    return () if comes_true is None else _branch(place if with_then else place + 1, place, comes_true, texts, depths)


def _branch(start: int, place: int, known: bool, texts: t.Sequence[str], depths: t.Sequence[Depth]) -> t.Iterable[int]:
    """The pieces of the branches that are not taken, of an `if` in piece ``place`` whose `then` is in piece ``start``."""
    inside = depths[place].depth + 1
    end = end_of(place, FI, texts, depths)
    if end is None:
        return ()
    marks = [
        one
        for one in range(start + 1, end + 1)
        if depths[one].depth == inside and (ELIF.fullmatch(texts[one]) or ELSE.fullmatch(texts[one]) or FI.fullmatch(texts[one]))
    ]
    return range(start + 1, marks[0]) if not known else range(marks[0], end)


def _not_chained(
    place: int, found: re.Match[str], texts: t.Sequence[str], depths: t.Sequence[Depth], constants: t.Mapping[str, str]
) -> t.Iterable[int]:
    """`false && …` and `true || …`, of one command or of one block in braces."""
    known = holds(found[1], constants)
    if known is None or known == (found[2] == "&&"):
        return ()
    if OPENS.fullmatch(found[3]):
        end = end_of(place, CLOSES, texts, depths)
        return () if end is None else range(place, end + 1)
    plain = re.sub(r"\d?[<>]+&\d", "", QUOTED.sub("_", found[3]))
    return (place,) if re.search(r"[;&|{(]", plain) is None else ()


def _constants(texts: t.Sequence[str], depths: t.Sequence[Depth]) -> Constants:
    """Variables that are given one word, once, outside of any block, and that nothing else can change, with the piece of that."""
    whole = "\n".join(texts)
    if _CHANGES_ANY.search(whole) or any(_SOURCES.search(text) for text in texts):
        return {}
    words = (word for one in texts for word in _OPTION.findall(one))
    glued = (word[start:] for word in words for start in range(1, len(word)))
    mentions = Counter((*_NAME.findall(whole), *_IF_UNSET.findall(whole), *glued))
    found: dict[str, tuple[int, str]] = {}
    for place, (depth, text, starts, _lowest) in enumerate(depths):
        match = _CONSTANT.fullmatch(text) if text is not None and not depth and starts else None
        if match is not None and mentions[match[1]] == 1:
            found[match[1]] = place, match[2] or match[3] or match[4] or ""
    return found


# -- functions


def _uncalled(texts: t.Sequence[str], depths: t.Sequence[Depth], dead: t.Collection[int]) -> set[int]:
    """The bodies of functions whose names stand nowhere but in their own, or in those of others that nothing calls."""
    bodies = {name: body for name, body in _bodies(texts, depths) if name != _CALLED_BY_BASH}
    found: set[int] = set(dead)
    # What is only printed calls nothing.
    texts = without_printing(texts)
    while True:
        calling = {
            name: any(
                re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", text)
                for place, text in enumerate(texts)
                if place not in found and place not in bodies[name]
            )
            for name in bodies
        }
        more = {place for name, is_called in calling.items() if not is_called for place in bodies[name]} - found
        if not more:
            return found
        found |= more


def _bodies(texts: t.Sequence[str], depths: t.Sequence[Depth]) -> t.Iterator[tuple[str, range]]:
    """The functions that are defined once, outside of any block, each with the lines that it takes."""
    seen: list[str] = []
    found: dict[str, range] = {}
    for place in range(len(depths)):
        text = texts[place]
        one = _FUNCTION_IN_LINE.fullmatch(text)
        match = one or FUNCTION.fullmatch(text)
        if match is None or depths[place].depth:
            continue
        name = match[1] or match[2]
        opens = place if one or match[3] else place + 1
        is_block = one is None and opens < len(depths) and (match[3] or OPENS.fullmatch(texts[opens].strip()))
        end = place if one else end_of(opens, CLOSES, texts, depths) if is_block else None
        seen.append(name)
        if end is not None:
            found[name] = range(place, end + 1)
    yield from ((name, lines) for name, lines in found.items() if seen.count(name) == 1)

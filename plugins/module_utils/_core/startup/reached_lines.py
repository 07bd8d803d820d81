# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which lines of a shell's script are reached: none behind an `exit` that nothing surrounds, in a branch whose condition is written
down and does not hold, or in a function that nothing calls."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.startup.literal_conditions import holds

_EXITS = re.compile(r"\s*exit(?:\s+(?:\d+|\$\?|\"?\$\{?\w+\}?\"?))?\s*;?\s*")
# Without a program exec only moves the script's own output.
_BECOMES = re.compile(r"\s*exec\s+(?:-a\s+\S+\s+|-[cl]+\s+)*[\w./\"'$~-](?:\d?[<>]+&\d|[^;&|])*;?\s*")
_REDIRECTS = re.compile(r"\s*exec\s+(?:\d+|\{\w+\})?[<>]")
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|\\.|\$\{[^{}]*\}")
_WORD = re.compile(r"[;&|(){}!]|[^\s;&|(){}!]+")
# A text of several lines, and what is run at the end.
_UNCLEAR = re.compile(r"[\"'`]|\btrap\b|<<<")
_HERE = re.compile(r"<<-?\s*[\"']?(\w+|#+)[\"']?")
_CHANGES = {"if": 1, "do": 1, "case": 1, "(": 1, "{": 1, "fi": -1, "done": -1, "esac": -1, ")": -1, "}": -1}
_BEFORE_A_COMMAND = frozenset(("then", "do", "else", "elif", "if", "while", "until", "time"))
_GOES_ON = re.compile(r"[&|]\s*$")
_IF, _ELIF, _LOOP = re.compile(r"\s*if\s+(.+)"), re.compile(r"\s*elif\b.*"), re.compile(r"\s*(while|until)\s+(.+?)\s*(?:;\s*do)?\s*")
_THEN, _ELSE, _FI, _DONE = (re.compile(rf"\s*{word}\s*;?\s*") for word in ("then", "else", "fi", "done"))
_WITH_THEN = re.compile(r"\s*if\s+(.+?)\s*;\s*then\s*")
_IN_ONE_LINE = re.compile(r"\s*if\s+([^;]+);\s*then\s+((?:(?!\b(?:else|elif|fi|if)\b).)*);\s*fi\s*;?\s*")
_SHORT = re.compile(r"\s*((?:!\s+)?(?:\S*/)?(?:true|false|:)|\[\[?\s[^;&|]+\])\s*(&&|\|\|)\s*(.+)")
_OPENS, _CLOSES = re.compile(r"\{\s*"), re.compile(r"\s*\}\s*;?\s*")
_FUNCTION = re.compile(r"\s*(?:function\s+([\w.:-]+)\s*(?:\(\s*\))?|([\w.:-]+)\s*\(\s*\))\s*(\{?)\s*")
_FUNCTION_IN_LINE = re.compile(r"\s*(?:function\s+([\w.:-]+)\s*(?:\(\s*\))?|([\w.:-]+)\s*\(\s*\))\s*\{\s[^{}]*\}\s*;?\s*")
# By which a function can be called whose name is not written there.
_CALLS_ANY = re.compile(
    r"(?:^|[;&|(){`!]|\b(?:then|do|else|if|elif|while|until|exec|command|time)\s)\s*[\"']?[\w.-]*[$`]|\b(?:eval|compgen|alias)\b|\bdeclare\s+-[fF]"
)
_SOURCES = re.compile(r"(?:^|[\s;&|({])(?:\.|source)\s")
_CONSTANT = re.compile(r"\s*(?:readonly\s+)?([A-Za-z_]\w*)=(?:\"([\w.-]*)\"|'([\w.-]*)'|([\w.-]*))\s*;?\s*")
_CHANGES_ANY = re.compile(r"\b(?:eval|getopts|mapfile|readarray)\b")


def reached(texts: t.Sequence[str]) -> int:
    """How many of a script's logical lines, without their comments, can be run, the last of them included, by which the script ends.

    All of them where that is not clear.
    """
    goes_on_after_exec = any("execfail" in text for text in texts)
    for number, (_depth, text) in enumerate(_with_depths(texts)):
        if text is not None and (_EXITS.fullmatch(text) or (not goes_on_after_exec and _becomes_another(text))):
            return number + 1
    return len(texts)


def _becomes_another(text: str) -> bool:
    return _BECOMES.fullmatch(text) is not None and _REDIRECTS.match(text) is None


def dropped(texts: t.Sequence[str], is_run: bool) -> frozenset[int]:
    """The places of lines that are never run.  ``is_run`` if the script is a program of its own, whose functions nobody else calls."""
    depths = [depth for depth, _text in _with_depths(texts)]
    constants = _constants(texts)
    dead: set[int] = set()
    for place, text in enumerate(texts[: len(depths)]):
        # After `&&` and `||` a line is a part of the list of commands before it.
        if place not in dead and not (place and _GOES_ON.search(texts[place - 1])):
            known = {name: value for name, (since, value) in constants.items() if since < place}
            dead.update(_not_taken(place, text, texts, depths, known))
    if is_run and not any(_SOURCES.search(text) or _CALLS_ANY.search(text) for text in texts):
        dead |= _uncalled(texts, depths, dead)
    return frozenset(dead)


def _with_depths(texts: t.Sequence[str]) -> t.Iterator[tuple[int, str | None]]:
    """How many blocks each line is in, and its text where it is in none; up to the first line of which that is not clear."""
    depth, goes_on, until, cases = 0, False, "", 0
    for place, text in enumerate(texts):
        if until:
            until = "" if text.strip() == until else until
            yield depth, None
            continue
        plain = _QUOTED.sub("_", text)
        here = _HERE.search(text)
        if here is not None:
            plain = _HERE.sub(" ", _QUOTED.sub(lambda found: found[0] if _HERE.search(found[0]) else "_", text)).replace('"', "")
            until = here[1] if any(one.strip() == here[1] for one in texts[place + 1 :]) else ""
        yield depth, text if depth == 0 and not goes_on else None
        if _UNCLEAR.search(plain) or (here is not None and not until):
            return
        change, cases = _deeper(plain, cases)
        depth += change
        if depth < 0:
            return
        goes_on = _GOES_ON.search(plain) is not None


def _deeper(plain: str, cases: int) -> tuple[int, int]:
    """How many blocks a line opens, less those that it ends, and in how many `case` it leaves the script: there patterns end with `)`."""
    found, is_command = 0, True
    for word in _WORD.findall(plain):
        is_sign = len(word) == 1 and word in ";&|(){}!"
        if is_sign or is_command:
            cases += {"case": 1, "esac": -1}.get(word, 0)
            found += 0 if cases and word in "()" else _CHANGES.get(word, 0)
        is_command = is_sign or (is_command and word in _BEFORE_A_COMMAND)
    return found, max(cases, 0)


# -- branches


def _not_taken(place: int, text: str, texts: t.Sequence[str], depths: t.Sequence[int], constants: t.Mapping[str, str]) -> t.Iterable[int]:
    whole = _IN_ONE_LINE.fullmatch(text) or _SHORT.fullmatch(text)
    if whole is not None and whole.re is _IN_ONE_LINE:
        return (place,) if holds(whole[1], constants) is False else ()
    if whole is not None:
        return _not_chained(place, whole, texts, depths, constants)
    loop = _LOOP.fullmatch(text)
    if loop is not None:
        known = holds(loop[2], constants)
        end = _end_of(place, _DONE, texts, depths)
        return range(place, end + 1) if end is not None and known is not None and known == (loop[1] == "until") else ()
    with_then = _WITH_THEN.fullmatch(text)
    found = with_then or (_IF.fullmatch(text) if place + 1 < len(depths) and _THEN.fullmatch(texts[place + 1]) else None)
    known = None if found is None else holds(found[1], constants)
    return () if known is None else _branch(place if with_then else place + 1, place, known, texts, depths)


def _branch(start: int, place: int, known: bool, texts: t.Sequence[str], depths: t.Sequence[int]) -> t.Iterable[int]:
    """The lines of the branches that are not taken, of an `if` in line ``place`` whose `then` is in line ``start``."""
    inside = depths[place] + 1
    marks = [
        one
        for one in range(start + 1, len(depths))
        if depths[one] == inside and (_ELIF.fullmatch(texts[one]) or _ELSE.fullmatch(texts[one]) or _FI.fullmatch(texts[one]))
    ]
    end = next((one for one in marks if _FI.fullmatch(texts[one])), None)
    if end is None:
        return ()
    marks = [one for one in marks if one <= end]
    return range(start + 1, marks[0]) if not known else range(marks[0], end)


def _not_chained(
    place: int, found: re.Match[str], texts: t.Sequence[str], depths: t.Sequence[int], constants: t.Mapping[str, str]
) -> t.Iterable[int]:
    """`false && …` and `true || …`, of one command or of one block in braces."""
    known = holds(found[1], constants)
    if known is None or known == (found[2] == "&&"):
        return ()
    if _OPENS.fullmatch(found[3]):
        end = _end_of(place, _CLOSES, texts, depths)
        return () if end is None else range(place, end + 1)
    plain = re.sub(r"\d?[<>]+&\d", "", _QUOTED.sub("_", found[3]))
    return (place,) if re.search(r"[;&|{(]", plain) is None else ()


def _end_of(place: int, closes: re.Pattern[str], texts: t.Sequence[str], depths: t.Sequence[int]) -> int | None:
    """The line that ends the block which line ``place``, or the one behind it, opens."""
    inside = depths[place] + 1
    for one in range(place + 1, len(depths)):
        if depths[one] == inside and closes.fullmatch(texts[one]):
            return one
        if depths[one] < inside and one > place + 1:
            return None
    return None


def _constants(texts: t.Sequence[str]) -> t.Mapping[str, tuple[int, str]]:
    """Variables that are given one word, once, outside of any block, and that nothing else can change, with the line of that."""
    whole = "\n".join(texts)
    if _CHANGES_ANY.search(whole) or any(_SOURCES.search(text) for text in texts):
        return {}
    found: dict[str, tuple[int, str]] = {}
    for place, (depth, text) in enumerate(_with_depths(texts)):
        match = None if text is None or depth else _CONSTANT.fullmatch(text)
        if match is not None and len(re.findall(rf"(?<![$\w{{!#]){match[1]}\b|\{{{match[1]}:?=", whole)) == 1:
            found[match[1]] = place, match[2] or match[3] or match[4] or ""
    return found


# -- functions


def _uncalled(texts: t.Sequence[str], depths: t.Sequence[int], dead: t.Collection[int]) -> set[int]:
    """The bodies of functions whose names stand nowhere but in their own, or in those of others that nothing calls."""
    bodies = dict(_bodies(texts, depths))
    found: set[int] = set(dead)
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


def _bodies(texts: t.Sequence[str], depths: t.Sequence[int]) -> t.Iterator[tuple[str, range]]:
    """The functions that are defined once, outside of any block, each with the lines that it takes."""
    seen: list[str] = []
    found: dict[str, range] = {}
    for place in range(len(depths)):
        text = texts[place]
        one = _FUNCTION_IN_LINE.fullmatch(text)
        match = one or _FUNCTION.fullmatch(text)
        if match is None or depths[place]:
            continue
        name = match[1] or match[2]
        opens = place if one or match[3] else place + 1
        is_block = one is None and opens < len(depths) and (match[3] or _OPENS.fullmatch(texts[opens].strip()))
        end = place if one else _end_of(opens, _CLOSES, texts, depths) if is_block else None
        seen.append(name)
        if end is not None:
            found[name] = range(place, end + 1)
    yield from ((name, lines) for name, lines in found.items() if seen.count(name) == 1)

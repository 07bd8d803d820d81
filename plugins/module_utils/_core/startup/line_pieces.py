# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of a shell's script in pieces: one simple command, one word of the grammar, or one pattern of a `case` each.

(POSIX.1-2017, XCU 2.9 and 2.10)
"""

from __future__ import annotations

import re
import typing as t

_TOKEN = re.compile(
    r"\s+|\"(?:[^\"\\]|\\.)*\"|'[^']*'|\\.|\$\{[^{}]*\}|;;&|;;|;&|&&|\|\||&>>?|\d?>>?&\d?|<<<|<<-?|[;&|()]|[^\s\"'\\;&|()<>$]+|[<>$]"
)
_CLOSED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|\\.")
_HERE = re.compile(r"(?<!<)<<-?\s*[\"']?(\w+|#+)[\"']?")
_ALONE = frozenset(("then", "do", "else", "{"))
_CONDITIONS = frozenset(("if", "elif", "while", "until", "time", "!"))
_ENDS_CLAUSE = frozenset((";;", ";&", ";;&"))
_FUNCTION = re.compile(r"\s*(?:function\s+[\w.:-]+\s*(?:\(\s*\))?|[\w.:-]+\s*\(\s*\))\s*")


class Piece(t.NamedTuple):
    """``place`` is the number of the line that it is in."""

    place: int
    text: str


def pieces(texts: t.Sequence[str]) -> list[Piece]:
    """The pieces of logical lines without comments, in order; a line that cannot be split, and all after it, are one piece each."""
    found: list[Piece] = []
    splitter = _Splitter()
    until, is_clear = "", True
    for place, text in enumerate(texts):
        if until or not is_clear:
            found.append(Piece(place, text))
            until = "" if text.strip() == until else until
            continue
        here = _HERE.search(text)
        parts = None if here is not None else splitter.split(text)
        if here is not None:
            until = here[1] if any(one.strip() == here[1] for one in texts[place + 1 :]) else ""
            splitter.pass_over()
        is_clear = parts is not None or here is not None
        found += (Piece(place, part) for part in parts) if parts else [Piece(place, text)]
    return found


class _Splitter:
    """Splits one line after the other; it knows in how many `case` it is, and whether a pattern comes next."""

    def __init__(self) -> None:
        self._cases = 0
        self._awaits_pattern = False

    def pass_over(self) -> None:
        """A line that is not split is a command."""
        self._awaits_pattern = False

    def split(self, text: str) -> list[str] | None:
        """None where that is not clear."""
        if re.search(r"[\"'`]", _CLOSED.sub("", text)):
            return None
        found: list[str] = []
        waiting, depth, at_command, of_case = "", 0, True, False
        for token in _TOKEN.findall(text):
            if token.isspace():
                waiting += token
                continue
            if depth or (token == "(" and not self._awaits_pattern):
                depth += {"(": 1, ")": -1}.get(token, 0)
                waiting += token
                at_command = False
                continue
            if self._awaits_pattern and token != "esac":
                waiting += token
                if token == ")":
                    self._awaits_pattern, at_command = False, True
                    found, waiting = [*found, waiting], ""
                continue
            if token == ")":
                return None
            if token in _ENDS_CLAUSE:
                found += [waiting, token]
                waiting, at_command, self._awaits_pattern = "", True, True
            elif token == ";":
                found, waiting, at_command = [*found, waiting], "", True
            elif token in _ALONE and (at_command or (token == "{" and _FUNCTION.fullmatch(waiting))):
                found, waiting, at_command = [*found, waiting + token], "", True
            elif of_case and token == "in":
                found, waiting, of_case, at_command = [*found, waiting + token], "", False, True
                self._awaits_pattern = True
            else:
                if at_command and token == "esac":
                    self._cases, self._awaits_pattern = max(self._cases - 1, 0), False
                of_case = of_case or (at_command and token == "case")
                self._cases += at_command and token == "case"
                at_command = token in ("&&", "||", "|", "&") or (at_command and token in _CONDITIONS)
                waiting += token
        if depth or of_case:
            return None
        return [part for part in (*found, waiting) if part.strip()]

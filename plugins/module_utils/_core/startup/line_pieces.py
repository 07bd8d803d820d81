# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of a shell's script in pieces: one simple command, one word of the grammar, or one pattern of a `case` each.

(POSIX.1-2017, XCU 2.9 and 2.10)
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.startup import here_documents

_WORD = re.compile(
    r"\s+|\"(?:[^\"\\]|\\.)*\"|'[^']*'|\\.|\$\{[^{}]*\}|;;&|;;|;&|&&|\|\||&>>?|\d?>>?&\d?|<<<|<<-?|[;&|()]|[^\s\"'\\;&|()<>$]+|[<>$]"
)
_CLOSED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|\\.")
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
    until: list[here_documents.HereDocument] = []
    is_clear, ends = True, here_documents.TextEnds(enumerate(texts))
    for place, text in enumerate(texts):
        if until or not is_clear:
            found.append(Piece(place, text))
            del until[: int(bool(until) and until[0].ends(text))]
            continue
        until = [one for one in here_documents.of(text) if ends.has(one, place)]
        parts = None if until else splitter.split(text)
        if until:
            splitter.pass_over()
        is_clear = parts is not None or bool(until)
        found += (Piece(place, part) for part in parts) if parts else [Piece(place, text)]
    return found


class _Splitter:
    """Splits one line after the other; it knows whether a pattern of a `case` comes next."""

    def __init__(self) -> None:
        self._awaits_pattern = False
        self._begin()

    def _begin(self) -> None:
        self._found: list[str] = []
        self._waiting = ""
        self._depth = 0
        self._at_command, self._of_case, self._is_clear = True, False, True

    def pass_over(self) -> None:
        """A line that is not split is a command."""
        self._awaits_pattern = False

    def split(self, text: str) -> list[str] | None:
        """None where that is not clear."""
        if re.search(r"[\"'`]", _CLOSED.sub("", text)):
            return None
        self._begin()
        for word in _WORD.findall(text):
            if word.isspace():
                self._waiting += word
            elif not (self._is_inside(word) or self._is_of_pattern(word)):
                self._take(word)
        self._end("")
        if self._depth or self._of_case or not self._is_clear:
            return None
        return [part for part in self._found if part.strip()]

    def _end(self, word: str) -> None:
        """A piece ends with a word; what follows is a command."""
        self._found.append(self._waiting + word)
        self._waiting, self._at_command = "", True

    def _is_inside(self, word: str) -> bool:
        """Whether a word belongs to something in parentheses, which stays as it is."""
        if not self._depth and (word != "(" or self._awaits_pattern):
            return False
        self._depth += {"(": 1, ")": -1}.get(word, 0)
        self._waiting += word
        self._at_command = False
        return True

    def _is_of_pattern(self, word: str) -> bool:
        if not self._awaits_pattern or word == "esac":
            return False
        if word == ")":
            self._awaits_pattern = False
            self._end(word)
        else:
            self._waiting += word
        return True

    def _take(self, word: str) -> None:
        if word in _ENDS_CLAUSE:
            self._end("")
            self._end(word)
            self._awaits_pattern = True
        elif word == ";":
            self._end("")
        elif word in _ALONE and (self._at_command or (word == "{" and _FUNCTION.fullmatch(self._waiting))):
            self._end(word)
        elif self._of_case and word == "in":
            self._end(word)
            self._of_case, self._awaits_pattern = False, True
        else:
            self._add(word)

    def _add(self, word: str) -> None:
        self._is_clear = self._is_clear and word != ")"
        if self._at_command and word == "esac":
            self._awaits_pattern = False
        self._of_case = self._of_case or (self._at_command and word == "case")
        self._at_command = word in ("&&", "||", "|", "&") or (self._at_command and word in _CONDITIONS)
        self._waiting += word

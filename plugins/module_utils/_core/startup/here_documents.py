# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The here-documents of a shell's script: texts for commands, which end with a line that their operator names.

(POSIX.1-2017, XCU 2.7.4)
"""

from __future__ import annotations

import functools
import re
import typing as t

_OPERATOR = re.compile(
    r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|\\.|<<<|<<(?P<strips>-?)[ \t]*(?P<word>(?:\"[^\"]*\"|'[^']*'|\\.|[^\s;&|<>()\"'\\`])+)", re.DOTALL
)
_QUOTES = re.compile(r"[\"'\\]")


class HereDocument(t.NamedTuple):
    """``word`` ends it, behind tabs if ``strips``; ``is_quoted`` if the shell carries nothing out in it."""

    word: str
    strips: bool
    is_quoted: bool

    def ends(self, text: str) -> bool:
        """Whether a line is the last of it."""
        return (text.lstrip("\t") if self.strips else text) == self.word


def of(text: str) -> tuple[HereDocument, ...]:
    """Those that a logical line asks for, in the order in which they follow it."""
    if "<<" not in text:
        return ()
    found = (match for match in _OPERATOR.finditer(text) if match["word"])
    return tuple(HereDocument(_QUOTES.sub("", one["word"]), bool(one["strips"]), _QUOTES.search(one["word"]) is not None) for one in found)


def without_operators(text: str) -> str:
    """A logical line without what asks for such texts."""
    return _OPERATOR.sub(lambda match: " " if match["word"] else match[0], text) if "<<" in text else text


class TextEnds:
    """Where lines stand that can end such texts; ``lines`` are their places and texts, in order."""

    def __init__(self, lines: t.Iterable[tuple[int, str]]) -> None:
        self._lines = lines

    @functools.cached_property
    def _last(self) -> t.Mapping[tuple[bool, str], int]:
        """The last place of each text, as it is and without tabs in front; few scripts ask."""
        return {(strips, text.lstrip("\t") if strips else text): place for place, text in self._lines for strips in (False, True)}

    def has(self, document: HereDocument, place: int) -> bool:
        """Whether a line behind that place ends it."""
        return self._last.get((document.strips, document.word), -1) > place

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scanner of GRUB's script language: quotes, escapes, comments, variables.  (GRUB: grub-core/script/yylex.l)"""

from __future__ import annotations

import dataclasses
import re
import typing as t

VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*|\d+|[?@#*])\}|([A-Za-z_]\w*|\d+|[?@#*]))", re.ASCII)
BLANKS = " \t\r"
REFUSED = "|&<>"
"""Signs that no rule of the grammar has: the line in which they stand by themselves is an error.  (GRUB: grub-core/script/parser.y)"""
ENDS = f"\n;{REFUSED}"

TEXT = "text"
VALUE = "value"
QUOTED_VALUE = "quoted value"


@dataclasses.dataclass(frozen=True)
class GrubWord:
    """Parts of (kind, text): literal text, or the name of a variable.  The value of an unquoted variable is split at blanks."""

    parts: tuple[tuple[str, str], ...]
    quoted: bool
    line: int

    @property
    def keyword(self) -> str | None:
        """The word's text if it may be a keyword: it is not quoted and has no variables.  Else None."""
        return self.parts[0][1] if len(self.parts) == 1 and self.parts[0][0] == TEXT and not self.quoted else None


@dataclasses.dataclass(frozen=True)
class GrubSeparator:
    """A separator: the end of a command (`;`, a newline), a brace, or a sign that is refused."""

    text: str
    line: int


GrubToken = t.Union[GrubWord, GrubSeparator]


def tokens(text: str) -> tuple[GrubToken, ...]:
    """The words and separators of a script.  An unterminated quote ends at the end of the file."""
    return tuple(_Scanner(text).run())


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1

    def run(self) -> t.Iterator[GrubToken]:
        while self._at < len(self._text):
            char = self._text[self._at]
            if char in BLANKS:
                self._at += 1
            elif char == "\\" and self._text[self._at + 1 : self._at + 2] == "\n":
                self._advance(2)
            elif char == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            elif char in ENDS:
                yield GrubSeparator(char if char in REFUSED else ";", self._line)
                self._advance(1)
            elif char in "{}":
                yield GrubSeparator(char, self._line)
                self._at += 1
            else:
                yield self._word()

    def _advance(self, count: int) -> str:
        taken = self._text[self._at : self._at + count]
        self._line += taken.count("\n")
        self._at += count
        return taken

    def _word(self) -> GrubWord:
        line, quoted = self._line, False
        parts: list[tuple[str, str]] = []
        while self._at < len(self._text) and self._text[self._at] not in BLANKS + ENDS:
            char = self._text[self._at]
            if char == "'":
                parts.append((TEXT, self._single()))
                quoted = True
            elif char == '"':
                parts += self._double()
                quoted = True
            elif char == "\\":
                taken = self._advance(2)[1:]
                if taken != "\n":
                    parts.append((TEXT, taken))
                    quoted = True
            elif char == "$":
                parts.append(self._variable(VALUE))
            else:
                parts.append((TEXT, self._advance(1)))
        return GrubWord(_joined(parts), quoted, line)

    def _single(self) -> str:
        end = self._text.find("'", self._at + 1)
        end = len(self._text) if end < 0 else end
        return self._advance(end + 1 - self._at)[1:].removesuffix("'")

    def _double(self) -> list[tuple[str, str]]:
        self._at += 1
        parts: list[tuple[str, str]] = [(TEXT, "")]
        while self._at < len(self._text) and self._text[self._at] != '"':
            char = self._text[self._at]
            if char == "\\" and self._text[self._at + 1 : self._at + 2] in ("$", '"', "\\", "\n"):
                taken = self._advance(2)[1]
                parts.append((TEXT, "" if taken == "\n" else taken))
            elif char == "$":
                parts.append(self._variable(QUOTED_VALUE))
            else:
                parts.append((TEXT, self._advance(1)))
        self._at += 1
        return parts

    def _variable(self, kind: str) -> tuple[str, str]:
        match = VARIABLE.match(self._text, self._at)
        if match is None:
            return TEXT, self._advance(1)
        self._at = match.end()
        return kind, match[1] or match[2]


def _joined(parts: t.Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Joins adjacent literal parts."""
    found: list[tuple[str, str]] = []
    waiting: list[str] = []
    for kind, text in parts:
        if kind == TEXT:
            waiting.append(text)
            continue
        if waiting:
            found.append((TEXT, "".join(waiting)))
            waiting = []
        found.append((kind, text))
    return (*found, (TEXT, "".join(waiting))) if waiting else tuple(found)


def expand(words: t.Iterable[GrubWord], value: t.Callable[[str], str | None]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The fields that words expand to, and the variables in them whose value is unknown, which expand to nothing."""
    fields: list[str] = []
    unknown: list[str] = []
    for word in words:
        field: str | None = "" if word.quoted else None
        for kind, text in word.parts:
            found = text if kind == TEXT else value(text)
            if found is None:
                unknown.append(text)
            elif kind != VALUE:
                field = (field or "") + found
            elif found:
                field = _split_into(fields, field, found)
        if field is not None:
            fields.append(field)
    return tuple(fields), tuple(unknown)


def _split_into(fields: list[str], field: str | None, value: str) -> str | None:
    """Append all of the value's fields but the last, which is returned: what follows in the word is appended to it."""
    pieces = re.split(r"[ \t\n]+", value)
    for piece in pieces[:-1]:
        if field is not None or piece:
            fields.append((field or "") + piece)
        field = None
    return (field or "") + pieces[-1] if field is not None or pieces[-1] else None

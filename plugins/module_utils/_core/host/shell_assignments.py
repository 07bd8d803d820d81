# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables that a shell file sets, as far as they can be determined without running it."""

from __future__ import annotations

import dataclasses
import functools
import re
import typing as t

ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(?:\[(\d{1,9})\])?(\+?=)", re.ASCII)
ELEMENT = re.compile(r"\[(\d{1,9})\]=", re.ASCII)
VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:\[(\d{1,9})\])?\})", re.ASCII)
_PLAIN, _PLAIN_IN_QUOTES = re.compile(r"[^ \t\n;&|()<>'\"\\$`]+"), re.compile(r'[^"\\$`]+')
OPENING = {"if", "for", "while", "until", "case", "{", "function", "select"}
CLOSING = {"fi", "done", "esac", "}"}
MOST_COPIED, ELEMENT_SIZE = 32 << 20, 16
"""Characters of values that one file can take over into others, an element of an array being as many; what is above that is unknown."""
# Words that a command may follow.
LEADING = {"if", "while", "until", "{", "then", "do", "else", "elif", "export", "declare", "local", "readonly", "!", "time"}


@dataclasses.dataclass(frozen=True)
class ShellWord:
    """A word of a command.  ``raw`` is the source; ``text`` its value, None if only the shell could expand it."""

    raw: str
    text: str | None


@dataclasses.dataclass(frozen=True)
class Assignments:
    """Values by variable and index.  A plain variable is an array with one element, as in bash.

    A value is None, and its variable in ``unknown``, if it depends on what only running the file would show: the
    output of a command, a condition, an environment variable.
    """

    values: t.Mapping[str, t.Mapping[int, str | None]]
    unknown: frozenset[str]

    @classmethod
    def parse(cls, text: str, given: t.Mapping[str, str] | None = None) -> Assignments:
        """Parse a shell file; ``given`` are variables that are set before it is sourced."""
        return _Interpreter(given).run(text) if given else _parsed(text)

    def get(self, name: str, index: int = 0) -> str | None:
        """The value; None if it is not set or cannot be determined."""
        return self.values.get(name, {}).get(index)

    def indices(self, name: str) -> tuple[int, ...]:
        return tuple(self.values.get(name, {}))


# A loader's settings are asked for several times in one run, and may be large.
@functools.lru_cache(maxsize=4)
def _parsed(text: str) -> Assignments:
    return _Interpreter({}).run(text)


class _Interpreter:
    def __init__(self, given: t.Mapping[str, str]) -> None:
        self._values: dict[str, dict[int, str | None]] = {name: {0: value} for name, value in given.items()}
        self._unknown: set[str] = set()
        self._given = frozenset(given)
        self._depth = 0
        self._left = MOST_COPIED

    def run(self, text: str) -> Assignments:
        scanner = _Scanner(text, self._expand)
        while not scanner.at_end():
            self._command(scanner)
        set_here = {name: values for name, values in self._values.items() if name not in self._given}
        return Assignments(set_here, frozenset(self._unknown))

    def _command(self, scanner: _Scanner) -> None:
        """One command, up to the separator."""
        first, unsets, conditional = True, False, scanner.conditional
        while True:
            if first:
                target = scanner.assignment()
                if target is not None:
                    self._assign(target, scanner, conditional)
                    continue
            word = scanner.word()
            if word is None:
                break
            if unsets:
                self._unset(word.raw, conditional)
            unsets = unsets or (first and word.raw == "unset")
            if first and word.raw in ("[[", "(("):
                scanner.skip_test("]]" if word.raw == "[[" else "))")
            if first:
                self._depth += (word.raw in OPENING) - (word.raw in CLOSING)
            first = first and (word.raw in LEADING or word.raw.startswith("-"))
        scanner.separator()

    def _unset(self, name: str, conditional: bool) -> None:
        if self._depth > 0 or conditional:
            self._unknown.add(name)
        else:
            self._values.pop(name, None)
            self._unknown.discard(name)

    def _assign(self, target: re.Match[str], scanner: _Scanner, conditional: bool) -> None:
        name, index, adds = target[1], target[2], target[3] == "+="
        elements = scanner.array()
        if elements is None:
            word = scanner.word(value=True)
            position = int(index or 0)
            old = self._values.get(name, {}).get(position, "") if adds else ""
            new = word.text if word else ""
            whole = None if old is None or new is None or not self._may_copy(len(old)) else old + new
            self._values.setdefault(name, {})[position] = whole
            known = whole is not None
        else:
            values = self._values.get(name, {}) if adds else {}
            if not self._may_copy(ELEMENT_SIZE * len(values)):
                values = {0: None}
            start = max(values, default=-1) + 1
            values = {**values, **_numbered(elements, start)}
            self._values[name] = values
            known = None not in values.values()
        if not known or self._depth > 0 or conditional:
            self._unknown.add(name)
        elif index is None and not adds:
            self._unknown.discard(name)

    def _expand(self, match: re.Match[str]) -> str | None:
        found = self._values.get(match[1] or match[2], {}).get(int(match[3] or 0))
        return found if found is not None and self._may_copy(len(found)) else None

    def _may_copy(self, size: int) -> bool:
        self._left -= size
        return not size or self._left >= 0


def _numbered(elements: t.Iterable[tuple[int | None, str | None]], start: int) -> dict[int, str | None]:
    found: dict[int, str | None] = {}
    for index, text in elements:
        position = start if index is None else index
        found[position] = text
        start = position + 1
    return found


class _Scanner:
    """Splits a shell file into words.  Knows only as much of the language as assignments need and skips the rest."""

    def __init__(self, text: str, expand: t.Callable[[re.Match[str]], str | None]) -> None:
        self._text = text.replace("\r\n", "\n").replace("\\\n", "")
        self._at = 0
        self._expand = expand
        self.conditional = False
        """Whether the next command depends on the exit status of the one before, or runs in a subshell."""

    def at_end(self) -> bool:
        self._blanks(" \t\n;")
        return self._at >= len(self._text)

    def separator(self) -> None:
        """Skip what ends a command."""
        start = self._at
        while self._at < len(self._text) and self._text[self._at] in "\n;&|()<>":
            self._at += 1
        mark = self._text[start : self._at]
        if mark.startswith(("&&", "||", "(")):
            self.conditional = True
        elif mark.startswith(("\n", ";")):
            self.conditional = False

    def assignment(self) -> re.Match[str] | None:
        """The name and operator of an assignment, if there is one at this position."""
        self._blanks(" \t")
        match = ASSIGNMENT.match(self._text, self._at)
        if match:
            self._at = match.end()
        return match

    def array(self) -> list[tuple[int | None, str | None]] | None:
        """The elements of ``(…)``, each with its explicit index, if any."""
        if not self._text.startswith("(", self._at):
            return None
        self._at += 1
        elements: list[tuple[int | None, str | None]] = []
        while True:
            self._blanks(" \t\n")
            if self._at >= len(self._text) or self._text[self._at] == ")":
                self._at += 1
                return elements
            index = ELEMENT.match(self._text, self._at)
            if index:
                self._at = index.end()
            word = self.word(value=True)
            if word is None:
                self._at += 1
                continue
            elements.append((int(index[1]) if index else None, word.text))

    def skip_test(self, end: str) -> None:
        """Skip a condition, in which ``&&``, ``|`` and parentheses have another meaning."""
        stop = self._text.find(end, self._at)
        self._at = len(self._text) if stop < 0 else stop + len(end)

    def word(self, value: bool = False) -> ShellWord | None:
        """The next word of this command, None at its end.  A ``value`` begins at this position: no blanks are skipped."""
        if not value:
            self._blanks(" \t")
        start, parts = self._at, t.cast("list[str | None]", [])
        while self._at < len(self._text) and self._text[self._at] not in " \t\n;&|()<>":
            parts.append(self._part())
        if self._at == start:
            return None
        known = [part for part in parts if part is not None]
        return ShellWord(self._text[start : self._at], "".join(known) if len(known) == len(parts) else None)

    def _blanks(self, blanks: str) -> None:
        while self._at < len(self._text):
            if self._text[self._at] in blanks:
                self._at += 1
            elif self._text[self._at] == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            else:
                return

    def _part(self) -> str | None:
        plain = _PLAIN.match(self._text, self._at)
        if plain is not None:
            self._at = plain.end()
            return plain[0]
        char = self._text[self._at]
        if char == "'":
            return self._until("'")
        if char == '"':
            return self._quoted()
        if char == "\\":
            self._at += 2
            return self._text[self._at - 1 : self._at]
        return self._expansion()

    def _until(self, end: str) -> str:
        stop = self._text.find(end, self._at + 1)
        stop = len(self._text) if stop < 0 else stop
        found = self._text[self._at + 1 : stop]
        self._at = stop + 1
        return found

    def _quoted(self) -> str | None:
        self._at += 1
        parts: list[str | None] = []
        while self._at < len(self._text) and self._text[self._at] != '"':
            plain = _PLAIN_IN_QUOTES.match(self._text, self._at)
            char = self._text[self._at]
            if plain is not None:
                parts.append(plain[0])
                self._at = plain.end()
            elif char == "\\" and self._text[self._at + 1 : self._at + 2] in ("$", "`", '"', "\\"):
                parts.append(self._text[self._at + 1])
                self._at += 2
            elif char in "$`":
                parts.append(self._expansion())
            else:
                parts.append(char)
                self._at += 1
        self._at += 1
        known = [part for part in parts if part is not None]
        return "".join(known) if len(known) == len(parts) else None

    def _expansion(self) -> str | None:
        """The value of ``$name``, ``${name}``, ``${name[1]}``; None for everything else that begins with ``$`` or a backquote."""
        if self._text[self._at] == "`":
            self._until("`")
            return None
        match = VARIABLE.match(self._text, self._at)
        if match:
            self._at = match.end()
            return self._expand(match)
        opening = self._text[self._at + 1 : self._at + 2]
        if opening in ("(", "{"):
            self._nested(opening, ")" if opening == "(" else "}")
            return None
        self._at += 1
        return "$"

    def _nested(self, opening: str, closing: str) -> None:
        depth = 0
        while self._at < len(self._text):
            char = self._text[self._at]
            depth += (char == opening) - (char == closing)
            self._at += 1
            if char == closing and depth == 0:
                return

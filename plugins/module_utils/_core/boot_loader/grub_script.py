# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A parser of GRUB's script language.  (GRUB: grub-core/script/parser.y)"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.grub_words import (
    REFUSED,
    GrubSeparator,
    GrubToken,
    GrubWord,
    tokens,
)

DEEPEST = 40


@dataclasses.dataclass(frozen=True)
class GrubCommand:
    """Words, and the block in braces that follows them, if any (menuentry, submenu)."""

    words: tuple[GrubWord, ...]
    line: int
    block: Block | None = None
    negated: bool = False


@dataclasses.dataclass(frozen=True)
class Condition:
    """`if`: branches of (condition, body) in order, and the `else` block."""

    branches: tuple[tuple[Block, Block], ...]
    otherwise: Block
    line: int


@dataclasses.dataclass(frozen=True)
class Loop:
    """`for` over ``words``; `while` and `until` have a ``condition`` and no name."""

    name: str
    words: tuple[GrubWord, ...]
    condition: Block
    body: Block
    line: int


@dataclasses.dataclass(frozen=True)
class GrubFunction:
    name: str
    body: Block
    line: int


Statement = t.Union[GrubCommand, Condition, Loop, GrubFunction]
Block = tuple[Statement, ...]


@dataclasses.dataclass(frozen=True)
class Script:
    """A parsed script.  ``syntax_error`` is the line and text of the first error; None if there is none."""

    block: Block
    syntax_error: tuple[int, str] | None = None


def parse(text: str) -> Script:
    """Parse a script.  Never raises: what cannot be parsed is left out and reported in ``syntax_error``."""
    parser = _Parser(tokens(text))
    block = parser.block(frozenset())
    return Script(block, parser.syntax_error)


class _Parser:
    def __init__(self, found: tuple[GrubToken, ...]) -> None:
        self._tokens = found
        self._at = 0
        self._depth = 0
        self.syntax_error: tuple[int, str] | None = None

    def block(self, ends: frozenset[str]) -> Block:
        """Statements up to a keyword or brace in ``ends``, which is not consumed; if ``ends`` is empty, to the end of the file."""
        statements: list[Statement] = []
        self._depth += 1
        if self._depth > DEEPEST:
            self._report("is nested too deeply")
            self._at = len(self._tokens)
        while self._at < len(self._tokens):
            here = self._key()
            if here == ";":
                self._at += 1
            elif here in ends:
                break
            elif self._is_refused():
                self._skip_line(statements)
            elif here in ("{", "}"):
                self._report(f"has an unmatched '{here}'")
                self._at += 1
            else:
                statements.append(self._statement())
        self._depth -= 1
        return tuple(statements)

    def _is_refused(self) -> bool:
        token = self._tokens[self._at]
        return isinstance(token, GrubSeparator) and token.text in REFUSED

    def _skip_line(self, statements: list[Statement]) -> None:
        """GRUB runs nothing of a line with such a sign; in a block it takes the lines behind it for others than meant."""
        line = self._line()
        if self._depth > 1 or any(not isinstance(one, GrubCommand) or one.block is not None for one in statements[-1:] if one.line == line):
            self._report(f"has a '{self._key()}' that is not quoted")
        while statements and statements[-1].line == line:
            statements.pop()
        while self._at < len(self._tokens) and self._line() == line:
            self._at += 1

    def _statement(self) -> Statement:
        readers: dict[str, t.Callable[[], Statement]] = {
            "if": self._condition,
            "for": self._for,
            "while": self._while,
            "until": self._while,
            "function": self._function,
        }
        return readers.get(self._key(), self._command)()

    def _command(self) -> GrubCommand:
        line, negated = self._line(), False
        if self._key() == "!":
            self._at += 1
            negated = True
        words = self._words()
        block: Block | None = None
        if self._key() == "{" and words:
            block = self._braced()
        elif not words:
            self._at += 1
        return GrubCommand(words, line, block, negated)

    def _condition(self) -> Condition:
        line = self._line()
        branches: list[tuple[Block, Block]] = []
        otherwise: Block = ()
        while self._key() in ("if", "elif"):
            self._at += 1
            test = self.block(frozenset(("then", "fi")))
            self._expect("then")
            branches.append((test, self.block(frozenset(("elif", "else", "fi")))))
        if self._key() == "else":
            self._at += 1
            otherwise = self.block(frozenset(("fi",)))
        self._expect("fi")
        return Condition(tuple(branches), otherwise, line)

    def _for(self) -> Loop:
        line = self._line()
        self._at += 1
        words = self._words()
        name = (words[0].keyword or "") if words else ""
        return Loop(name, words[2:], (), self._done(), line)

    def _while(self) -> Loop:
        line = self._line()
        self._at += 1
        condition = self.block(frozenset(("do", "done")))
        return Loop("", (), condition, self._done(), line)

    def _done(self) -> Block:
        while self._key() == ";":
            self._at += 1
        self._expect("do")
        body = self.block(frozenset(("done",)))
        self._expect("done")
        return body

    def _function(self) -> GrubFunction:
        line = self._line()
        self._at += 1
        words = self._words()
        while self._key() == ";":
            self._at += 1
        name = (words[0].keyword or "") if words else ""
        return GrubFunction(name, self._braced(is_ended=True) if self._key() == "{" else (), line)

    def _braced(self, is_ended: bool = False) -> Block:
        """A block; ``is_ended`` if its last command needs an end of its own before the brace."""
        self._at += 1
        body = self.block(frozenset(("}",)))
        if is_ended and isinstance(self._tokens[self._at - 1], GrubWord):
            self._report("has a '}' on the line of the last command")
        self._expect("}")
        return body

    def _words(self) -> tuple[GrubWord, ...]:
        words: list[GrubWord] = []
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if not isinstance(token, GrubWord):
                break
            words.append(token)
            self._at += 1
        return tuple(words)

    def _key(self) -> str:
        """The separator or possible keyword at this position; empty at the end and for any other word."""
        if self._at >= len(self._tokens):
            return ""
        token = self._tokens[self._at]
        return token.text if isinstance(token, GrubSeparator) else token.keyword or ""

    def _line(self) -> int:
        return self._tokens[self._at].line if self._at < len(self._tokens) else self._tokens[-1].line if self._tokens else 1

    def _expect(self, key: str) -> None:
        if self._key() == key:
            self._at += 1
        else:
            self._report(f"has no '{key}'")

    def _report(self, error: str) -> None:
        if self.syntax_error is None:
            self.syntax_error = (self._line(), error)

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kernel must be built with for one of its drivers, as the driver's own Kconfig says.  Pure.

Syntax: Documentation/kbuild/kconfig-language.rst.  What a file is included under (`if`, `menu`) is not known here, an `if` of its own is.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

_ENTRY = re.compile(r"^(?:config|menuconfig)[ \t]+(\w+)[ \t]*$", re.MULTILINE)
_BLOCK = re.compile(r"^(if|endif)\b[ \t]*([^\n#]*)", re.MULTILINE)
_PROPERTY = re.compile(r"^[ \t]+(depends on|select|tristate|bool|def_bool|default)\b[ \t]*(.*)$")
_TOKEN = re.compile(r"\s*(&&|\|\||!=|>=|<=|[()!=<>]|\"[^\"]*\"|'[^']*'|[\w./-]+)")
_SET = re.compile(r"^CONFIG_(\w+)=[ym]", re.MULTILINE)
_DEEPEST = 64
COMPILE_TEST: t.Final = "COMPILE_TEST"


@dataclasses.dataclass(frozen=True)
class ConfigOption:
    """One option: the expressions of its `depends on` lines, what it selects, and whether it is on by default."""

    name: str
    depends: tuple[str, ...]
    selects: tuple[str, ...]
    on_by_default: bool


def parse(text: str) -> tuple[ConfigOption, ...]:
    """The options of a Kconfig file."""
    text = text.replace("\\\n", " ")
    heads = [*_ENTRY.finditer(text)]
    ends = [*(head.start() for head in heads[1:]), len(text)]
    return tuple(_entry(head[1], text[head.end() : end], _around(text, head.start())) for head, end in zip(heads, ends))


def _around(text: str, position: int) -> tuple[str, ...]:
    """The conditions of the `if` blocks of the file that are open there."""
    opened: list[str] = []
    for block in _BLOCK.finditer(text, 0, position):
        if block[1] == "if":
            opened.append(block[2].strip())
        elif opened:
            opened.pop()
    return tuple(opened)


def enabled(config: str) -> frozenset[str]:
    """The options, without ``CONFIG_``, that a kernel was built with, built in or as a module."""
    return frozenset(_SET.findall(config))


def holds(expression: str, options: t.Container[str]) -> bool:
    """Whether a dependency is met.  What cannot be read counts as met: the build decides then."""
    try:
        return _Reader(_tokens(expression), options).whole()
    except ValueError:
        return True


def named(expression: str) -> tuple[str, ...]:
    """The options that an expression is about, in its order."""
    try:
        words = _tokens(expression)
    except ValueError:
        return ()
    return tuple(dict.fromkeys(word for word in words if re.fullmatch(r"[A-Z0-9]\w*", word)))


def _entry(name: str, body: str, around: tuple[str, ...] = ()) -> ConfigOption:
    found: list[tuple[str, str]] = []
    for line in body.splitlines():
        if re.match(r"^[ \t]+(?:help|---help---)[ \t]*$", line) or re.match(r"^\w", line):
            break
        match = _PROPERTY.match(line)
        if match:
            found.append((match[1], re.sub(r"[ \t]#.*$", "", match[2]).strip()))
    selects = (value.partition(" if ")[0].strip() for kind, value in found if kind == "select")
    default = any(value.partition(" if ")[0] == "y" for kind, value in found if kind in ("default", "def_bool"))
    depends = (*around, *(value for kind, value in found if kind == "depends on"))
    return ConfigOption(name, depends, tuple(selects), default)


def _tokens(expression: str) -> list[str]:
    found, position, text = [], 0, expression.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(text)
        found.append(match[1])
        position = match.end()
    return found


class _Reader:
    """Goes once through the words of an expression.  ``||`` binds least, then ``&&``, ``!``, and a comparison most."""

    def __init__(self, words: list[str], options: t.Container[str]) -> None:
        self._words = [*reversed(words)]
        self._options = options
        self._depth = 0

    def whole(self) -> bool:
        value = self._any()
        if self._words:
            raise ValueError(self._words[-1])
        return value

    def _any(self) -> bool:
        value = self._all()
        while self._takes("||"):
            value = self._all() or value
        return value

    def _all(self) -> bool:
        value = self._single()
        while self._takes("&&"):
            value = self._single() and value
        return value

    def _single(self) -> bool:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError("too deep")
        try:
            if self._takes("!"):
                return not self._single()
            if self._takes("("):
                value = self._any()
                if not self._takes(")"):
                    raise ValueError("no )")
                return value
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> bool:
        left = self._word()
        for sign in ("=", "!="):
            if self._takes(sign):
                return (self._is_on(left) == self._is_on(self._word())) == (sign == "=")
        if self._words and self._words[-1] in ("<", ">", "<=", ">="):
            raise ValueError("only values tell")
        return self._is_on(left)

    def _is_on(self, word: str) -> bool:
        plain = word.strip("\"'")
        return plain in ("y", "m") or (plain != "n" and plain in self._options)

    def _word(self) -> str:
        if not self._words or not re.match(r"[\w\"'./-]", self._words[-1]):
            raise ValueError("no word")
        return self._words.pop()

    def _takes(self, word: str) -> bool:
        if self._words and self._words[-1] == word:
            self._words.pop()
            return True
        return False

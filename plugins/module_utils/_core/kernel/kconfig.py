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
_PROPERTY = re.compile(r"^[ \t]+(depends on|select|tristate|def_tristate|bool|def_bool|default)\b[ \t]*(.*)$")
_TOKEN = re.compile(r"\s*(&&|\|\||!=|>=|<=|[()!=<>]|\"[^\"]*\"|'[^']*'|[\w./-]+)")
_SET = re.compile(r"^CONFIG_(\w+)=([ym])[ \t]*$", re.MULTILINE)
_DEEPEST = 64
_OFF, _MODULE, _ON = range(3)
COMPILE_TEST: t.Final = "COMPILE_TEST"
ALWAYS = "y"


@dataclasses.dataclass(frozen=True)
class ConfigOption:
    """One option: the expressions of its `depends on` lines; what it selects and its defaults, each with the condition of that."""

    name: str
    depends: tuple[str, ...] = ()
    selects: tuple[tuple[str, str], ...] = ()
    defaults: tuple[tuple[str, str], ...] = ()
    is_tristate: bool = False

    def is_on_by_default(self, options: t.Container[str]) -> bool:
        """Whether nobody has to ask for it: the first default whose condition holds counts."""
        value = next((value for value, condition in self.defaults if holds(condition, options)), "n")
        return holds(value, options) and all(holds(expression, options) for expression in self.depends)


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
    """The options, without ``CONFIG_``, that a kernel was built with, built in or as a module.

    Those that are modules are there with ``=m`` as well, by which comparisons tell them from the others.
    """
    found = _SET.findall(config)
    return frozenset((*(name for name, _value in found), *(as_module(name) for name, value in found if value == "m")))


def as_module(name: str) -> str:
    return f"{name}=m"


def holds(expression: str, options: t.Container[str]) -> bool:
    """Whether a dependency is met, for a module at least.  What cannot be read counts as met: the build decides then."""
    wanted, _if, condition = expression.partition(" if ")
    try:
        if condition and not _Reader(_tokens(condition), options).whole():
            return True
        return _Reader(_tokens(wanted), options).whole() > _OFF
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
    selects = tuple(_conditional(value) for kind, value in found if kind == "select")
    defaults = tuple(_conditional(value) for kind, value in found if kind.startswith("def"))
    depends = (*around, *(value for kind, value in found if kind == "depends on"))
    return ConfigOption(name, depends, selects, defaults, any(kind.endswith("tristate") for kind, _value in found))


def _conditional(value: str) -> tuple[str, str]:
    """What a line says, and the condition of it."""
    said, _if, condition = value.partition(" if ")
    return said.strip(), condition.strip() or ALWAYS


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
    """Goes once through the words of an expression.  ``||`` binds least, then ``&&``, ``!``, and a comparison most.

    Off, a module and on are 0, 1 and 2: "Menu dependencies" in the language's description.
    """

    def __init__(self, words: list[str], options: t.Container[str]) -> None:
        self._words = [*reversed(words)]
        self._options = options
        self._depth = 0

    def whole(self) -> int:
        value = self._any()
        if self._words:
            raise ValueError(self._words[-1])
        return value

    def _any(self) -> int:
        value = self._all()
        while self._takes("||"):
            value = max(self._all(), value)
        return value

    def _all(self) -> int:
        value = self._single()
        while self._takes("&&"):
            value = min(self._single(), value)
        return value

    def _single(self) -> int:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError("too deep")
        try:
            if self._takes("!"):
                return _ON - self._single()
            if self._takes("("):
                value = self._any()
                if not self._takes(")"):
                    raise ValueError("no )")
                return value
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> int:
        left = self._word()
        for sign in ("=", "!="):
            if self._takes(sign):
                return _ON if (self._value(left) == self._value(self._word())) == (sign == "=") else _OFF
        if self._words and self._words[-1] in ("<", ">", "<=", ">="):
            raise ValueError("only values tell")
        return self._value(left)

    def _value(self, word: str) -> int:
        plain = word.strip("\"'")
        if plain == "m" or as_module(plain) in self._options:
            return _MODULE
        return _ON if plain == "y" or (plain != "n" and plain in self._options) else _OFF

    def _word(self) -> str:
        if not self._words or not re.match(r"[\w\"'./-]", self._words[-1]):
            raise ValueError("no word")
        return self._words.pop()

    def _takes(self, word: str) -> bool:
        if self._words and self._words[-1] == word:
            self._words.pop()
            return True
        return False

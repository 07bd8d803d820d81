# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
r"""POSIX extended regular expressions as bash's `=~` has them, tried in a time that the expression cannot choose.

Python's own would go through every way to match, which takes for ever with `(a+)+b`, and means something else by `\d` and `[[:digit:]]`.
Here all ways are followed at once: the work is the number of states times the length of the text.
"""

from __future__ import annotations

import dataclasses
import re
import string
import typing as t

LONGEST, DEEPEST, MOST_STATES = 4096, 64, 20_000
MOST_REPEATS = 255
"""RE_DUP_MAX of POSIX."""
START, END = "^", "$"
CLASSES: t.Mapping[str, str] = {
    "alnum": string.ascii_letters + string.digits,
    "alpha": string.ascii_letters,
    "blank": " \t",
    "digit": string.digits,
    "lower": string.ascii_lowercase,
    "punct": string.punctuation,
    "space": " \t\n\v\f\r",
    "upper": string.ascii_uppercase,
    "xdigit": string.hexdigits,
}
SPECIAL = "^.[$()|*+?{\\"
INTERVAL = re.compile(r"[0-9]{1,4}(?:,[0-9]{0,4})?|,[0-9]{1,4}")


class UnknownExpressionError(ValueError):
    """The expression is not valid, too large, or of a kind that only a C library knows, such as `\\1`."""


class InvalidExpressionError(UnknownExpressionError):
    """The expression is not valid: bash's `=~` ends with 2 and matches nothing."""


@dataclasses.dataclass(frozen=True)
class _One:
    """One sign: of those named, or any other than them."""

    signs: str
    excluded: bool = False

    def takes(self, sign: str) -> bool:
        return (sign in self.signs) != self.excluded


@dataclasses.dataclass(frozen=True)
class _Anchor:
    where: str


@dataclasses.dataclass(frozen=True)
class _All:
    parts: tuple[_Node, ...]


@dataclasses.dataclass(frozen=True)
class _Any:
    choices: tuple[_Node, ...]


@dataclasses.dataclass(frozen=True)
class _Repeat:
    part: _Node
    least: int
    most: int | None


_Node = t.Union[_One, _Anchor, _All, _Any, _Repeat]


def found(expression: str, text: str) -> bool:
    """Whether the expression matches any part of the text.  Raises UnknownExpressionError."""
    if len(expression) > LONGEST:
        raise UnknownExpressionError(f"it has more than {LONGEST} signs")
    machine = _Machine()
    end = machine.add(_Parser(expression).whole(), machine.state())
    current: set[int] = set()
    for at in range(len(text) + 1):
        current = machine.closed(current | {0}, at == 0, at == len(text))
        if end in current:
            return True
        if at < len(text):
            current = {after for state in current for one, after in machine.signs[state] if one.takes(text[at])}
    return False


class _Machine:
    """A nondeterministic automaton; state 0 is the first."""

    def __init__(self) -> None:
        self.signs: list[list[tuple[_One, int]]] = []
        self._free: list[list[tuple[str, int]]] = []

    def state(self) -> int:
        if len(self.signs) >= MOST_STATES:
            raise UnknownExpressionError(f"it needs more than {MOST_STATES} states")
        self.signs.append([])
        self._free.append([])
        return len(self.signs) - 1

    def add(self, node: _Node, start: int) -> int:
        """The state behind the node, which begins at ``start``."""
        if isinstance(node, _One):
            end = self.state()
            self.signs[start].append((node, end))
        elif isinstance(node, _Anchor):
            end = self.state()
            self._free[start].append((node.where, end))
        elif isinstance(node, _All):
            end = start
            for part in node.parts:
                end = self.add(part, end)
        elif isinstance(node, _Any):
            ends = [self.add(choice, self._after(start)) for choice in node.choices]
            end = self.state()
            for one in ends:
                self._free[one].append(("", end))
        else:
            end = self._repeated(node, start)
        return end

    def _repeated(self, node: _Repeat, start: int) -> int:
        end = start
        for _time in range(node.least):
            end = self.add(node.part, end)
        if node.most is None:
            loop = self._after(end)
            self._free[self.add(node.part, self._after(loop))].append(("", loop))
            return loop
        skips = []
        for _time in range(node.most - node.least):
            skips.append(end)
            end = self.add(node.part, self._after(end))
        last = self._after(end)
        for skip in skips:
            self._free[skip].append(("", last))
        return last

    def _after(self, start: int) -> int:
        state = self.state()
        self._free[start].append(("", state))
        return state

    def closed(self, states: set[int], at_start: bool, at_end: bool) -> set[int]:
        """These states and those that can be reached from them without a sign of the text."""
        reached, pending = set(states), list(states)
        while pending:
            for where, after in self._free[pending.pop()]:
                holds = not where or (where == START and at_start) or (where == END and at_end)
                if holds and after not in reached:
                    reached.add(after)
                    pending.append(after)
        return reached


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def whole(self) -> _Node:
        node = self._choices()
        if self._at < len(self._text):
            raise UnknownExpressionError("a parenthesis is not open")
        return node

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _choices(self) -> _Node:
        choices = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            choices.append(self._sequence())
        return choices[0] if len(choices) == 1 else _Any(tuple(choices))

    def _sequence(self) -> _Node:
        parts: list[_Node] = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._repeats(self._atom()))
        return _All(tuple(parts))

    def _repeats(self, node: _Node) -> _Node:
        while (sign := self._peek()) and sign in "*+?{":
            if isinstance(node, _Anchor):
                # Behind "^" it is an error of regcomp(3); behind "$" it is not in every library.
                raise (InvalidExpressionError if node.where == START else UnknownExpressionError)("an anchor is repeated")
            self._at += 1
            if sign == "{":
                least, most = self._interval()
            else:
                least, most = (1 if sign == "+" else 0), (1 if sign == "?" else None)
            node = _Repeat(node, least, most)
        return node

    def _interval(self) -> tuple[int, int | None]:
        inside, closing, _rest = self._text[self._at :].partition("}")
        first, comma, last = inside.partition(",")
        if not closing or not INTERVAL.fullmatch(inside):
            raise InvalidExpressionError("an interval is not valid")
        numbers = [int(one) for one in (first, last) if one]
        if not first or max(numbers) > MOST_REPEATS:
            raise UnknownExpressionError("an interval is not one of POSIX")
        self._at += len(inside) + 1
        least, most = numbers[0], numbers[-1] if last or not comma else None
        if most is not None and most < least:
            raise InvalidExpressionError("an interval is not valid")
        return least, most

    def _atom(self) -> _Node:
        sign = self._peek()
        self._at += 1
        if sign in (START, END):
            return _Anchor(sign)
        if sign == ".":
            return _One("", excluded=True)
        if sign == "[":
            return self._bracket()
        if sign == "(":
            return self._group()
        if sign in "*+?{":
            raise InvalidExpressionError(f"{sign} repeats nothing")
        if sign == "\\":
            sign = self._peek()
            self._at += 1
            if not sign:
                raise InvalidExpressionError("a backslash is at the end")
            # A letter, digit or other sign after a backslash has a meaning that POSIX does not give it.
            if sign not in SPECIAL + "]}/-\"'":
                raise UnknownExpressionError("a backslash is before a sign that needs none")
        return _One(sign)

    def _group(self) -> _Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise UnknownExpressionError("it is nested too deeply")
        node = self._choices()
        if self._peek() != ")":
            raise InvalidExpressionError("a parenthesis is not closed")
        self._at += 1
        self._depth -= 1
        return node

    def _bracket(self) -> _One:
        excluded = self._peek() == "^"
        self._at += excluded
        signs, first = "", True
        while first or self._peek() != "]":
            first = False
            sign = self._peek()
            if not sign:
                raise InvalidExpressionError("a bracket is not closed")
            if self._text[self._at : self._at + 2] in ("[:", "[=", "[."):
                signs += self._named()
                continue
            self._at += 1
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
                last = self._text[self._at + 1]
                self._at += 2
                if last == "[" or not (sign + last).isascii():
                    raise UnknownExpressionError("a range is not known")
                if last < sign:
                    raise InvalidExpressionError("a range is not valid")
                signs += "".join(map(chr, range(ord(sign), ord(last) + 1)))
            else:
                signs += sign
        self._at += 1
        return _One(signs, excluded)

    def _named(self) -> str:
        name, closing, _rest = self._text[self._at + 2 :].partition(":]")
        if self._text[self._at + 1] != ":" or not closing or name not in CLASSES:
            raise UnknownExpressionError("a class of signs is not known")
        self._at += len(name) + 4
        return CLASSES[name]

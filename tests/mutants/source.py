# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mutants of a file of the core: its text with one mistake each."""

from __future__ import annotations

import ast
import typing as t
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.vfio.variants.tests.mutants.operators import OPERATORS, element_dropped, name_of, returned

CORE = Path(__file__).resolve().parents[2] / "plugins/module_utils/_core"
_UNSEEN_FIELDS: t.Final = ("annotation", "returns", "decorator_list", "format_spec", "bases")
_LISTS: t.Final = ("endswith", "frozenset", "set", "startswith")
_TOP: t.Final = "the module"


@dataclass(frozen=True)
class Mutant:
    """One mistake.  ``file`` is a path below the core, ``lines`` are those that have to run for it to be noticed.

    ``number`` tells mistakes apart that read the same and stand in one function.
    """

    file: str
    scope: str
    mistake: str
    before: str
    after: str
    number: int
    lines: tuple[int, int]
    in_function: bool

    @property
    def room(self) -> str:
        return self.file.partition("/")[0]

    @property
    def change(self) -> str:
        """What stands where, in one line; with the file and the scope it names the mutant, whatever lines move."""
        number = f" #{self.number}" if self.number else ""
        return f"{self.before} -> {self.after}{number}"

    @property
    def name(self) -> str:
        return f"{self.file} {self.scope}: {self.mistake}: {self.change}"

    def __str__(self) -> str:
        return f"{self.file}:{self.lines[0]} {self.scope}: {self.mistake}: {self.change}"


@dataclass(frozen=True)
class _Context:
    scope: str = _TOP
    in_function: bool = False
    returns: str = ""
    lines: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class _Change:
    """``parent``'s ``field``, or there the item ``index``, becomes ``new``."""

    parent: ast.AST
    field: str
    index: int | None
    old: ast.AST
    new: ast.AST

    def make(self) -> None:
        self._put(self.new)

    def undo(self) -> None:
        self._put(self.old)

    def _put(self, node: ast.AST) -> None:
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


def mutants_of(file: str, text: str) -> list[Mutant]:
    """All mutants of a file, in the order in which they stand in it."""
    return [mutant for mutant, _change in _Walk(file, ast.parse(text)).found()]


def mutated(mutant: Mutant, text: str) -> ast.Module:
    """The file's tree with the mistake in it."""
    tree = ast.parse(text)
    change = next((change for found, change in _Walk(mutant.file, tree).found() if found == mutant), None)
    if change is None:
        raise ValueError(f"{mutant.file} has no mutant {mutant.name!r} any more.")
    change.make()
    return ast.fix_missing_locations(tree)


@dataclass
class _Walk:
    file: str
    tree: ast.Module
    _seen: set[tuple[int, str]] = field(default_factory=set)
    _named: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)

    def found(self) -> Iterator[tuple[Mutant, _Change]]:
        yield from self._below(self.tree, _Context())

    def _below(self, parent: ast.AST, here: _Context) -> Iterator[tuple[Mutant, _Change]]:
        for name, value in ast.iter_fields(parent):
            if name in _UNSEEN_FIELDS:
                continue
            for index, node in enumerate(value) if isinstance(value, list) else ((None, value),):
                if isinstance(node, ast.AST) and not _is_unseen(node, parent):
                    yield from self._at(parent, name, index, node, _entered(node, here))

    def _at(self, parent: ast.AST, name: str, index: int | None, node: ast.AST, here: _Context) -> Iterator[tuple[Mutant, _Change]]:
        for mistake, new in _replacements(parent, name, node, here):
            change = _Change(parent, name, index, node, new)
            mutant = self._mutant(mistake, change, here)
            if mutant is not None:
                yield mutant, change
        yield from self._below(node, here)

    def _mutant(self, mistake: str, change: _Change, here: _Context) -> Mutant | None:
        """None where another mistake makes the same of the line."""
        before, after = _line(change.old), _line(change.new)
        same = (id(change.parent), f"{change.field} {change.index} {after}")
        if same in self._seen or before == after:
            return None
        self._seen.add(same)
        known = (here.scope, mistake, before, after)
        number = self._named[known]
        self._named[known] += 1
        return Mutant(self.file, here.scope, mistake, before, after, number, here.lines, here.in_function)


def _replacements(parent: ast.AST, name: str, node: ast.AST, here: _Context) -> Iterator[tuple[str, ast.AST]]:
    for operator in OPERATORS:
        if operator.__name__ == "text" and _is_pattern(parent, node):
            continue
        yield from ((operator.__name__.replace("_", " "), new) for new in operator(node))
    yield from (("returned", new) for new in returned(node, here.returns))
    yield from (("element dropped", new) for new in element_dropped(node, _is_listed(parent, name, here)))


def _is_listed(parent: ast.AST, name: str, here: _Context) -> bool:
    """Whether a tuple at this place may be of any length: what is looked through or looked up in."""
    if isinstance(parent, (ast.For, ast.comprehension)):
        return name == "iter"
    if isinstance(parent, ast.Compare):
        return any(isinstance(operator, (ast.In, ast.NotIn)) for operator in parent.ops)
    if isinstance(parent, ast.Call):
        return name_of(parent) in _LISTS
    return isinstance(parent, (ast.Assign, ast.AnnAssign)) and name == "value" and not here.in_function


def _is_pattern(parent: ast.AST, node: ast.AST) -> bool:
    return isinstance(parent, ast.Call) and ast.unparse(parent.func).startswith("re.") and parent.args[:1] == [node]


def _is_unseen(node: ast.AST, parent: ast.AST) -> bool:
    """Docstrings, imports, what only a type checker reads, fixed text between values, and the wording of an error."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(parent, ast.JoinedStr) and isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript) and not _is_lower(node.targets[0]):
        return True
    if isinstance(node, ast.If) and ast.unparse(node.test) == "t.TYPE_CHECKING":
        return True
    return _is_wording(node)


def _is_lower(target: ast.expr) -> bool:
    """Type aliases are the subscripts that a name in mixed case stands for."""
    return not isinstance(target, ast.Name) or target.id.islower() or target.id.isupper()


def _is_wording(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and name_of(node).endswith("Error")


def _entered(node: ast.AST, here: _Context) -> _Context:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        scope = node.name if here.scope == _TOP else f"{here.scope}.{node.name}"
        if isinstance(node, ast.ClassDef):
            return _Context(scope, here.in_function, here.returns, (node.lineno, node.lineno))
        returns = ast.unparse(node.returns) if node.returns is not None else ""
        return _Context(scope, True, returns, _header(node))
    if isinstance(node, ast.arguments):
        # Defaults are made when the function is.
        return _Context(here.scope, False, here.returns, here.lines)
    if isinstance(node, (ast.stmt, ast.ExceptHandler)):
        return _Context(here.scope, here.in_function, here.returns, _header(node))
    return here


def _header(node: ast.stmt | ast.ExceptHandler) -> tuple[int, int]:
    """The lines of a statement without the statements in it."""
    body = getattr(node, "body", None)
    last = max(node.lineno, body[0].lineno - 1) if isinstance(body, list) and body else node.end_lineno or node.lineno
    return node.lineno, last


def _line(node: ast.AST) -> str:
    """A node's text in one line; of a statement with others in it the head alone."""
    if isinstance(node, (ast.If, ast.While)):
        return f"{type(node).__name__.lower()} {ast.unparse(node.test)}"
    if isinstance(node, ast.ExceptHandler):
        return "except: raise" if isinstance(node.body[0], ast.Raise) and node.body[0].exc is None else "except"
    if isinstance(node, ast.comprehension):
        return ast.unparse(node).strip()
    return " ".join(ast.unparse(node).split("\n"))

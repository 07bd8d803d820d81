# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every sentence that the collection can say, read from its source, for the page on troubleshooting."""

from __future__ import annotations

import ast
import re
import typing as t
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

FOLDERS = ("plugins/module_utils/_core", "plugins/modules", "plugins/action", "plugins/filter", "plugins/plugin_utils")
ROLES = ("roles/*/tasks/*.yml", "playbooks/**/*.yml")
FEWEST_WORDS = 4
FEWEST_IN_MESSAGES = 2
"""What is given to an error or a warning is a message however short it is; of other strings only the longer ones are."""
FAILS = ("fail_json",)
# Options of ansible.builtin.fail and assert; a message with success_msg is none to look up.
SAID_BY_TASKS = ("msg", "fail_msg")
HOLE = "…"
"""Stands for what differs from host to host."""
ERROR, WARNING, REASON = "error", "warning", "reason"
WARNINGS = ("Finding", "Guard")


@dataclass(frozen=True)
class Sentence:
    """A sentence with holes, the advice that is given with it, and the file that has it."""

    text: str
    kind: str
    file: str
    advice: str = ""

    @property
    def pattern(self) -> re.Pattern[str]:
        """What a real message looks like."""
        return re.compile(".*".join(re.escape(part) for part in self.text.split(HOLE)), re.DOTALL)


def sentences(root: Path) -> list[Sentence]:
    """All of them, each once, by file and text."""
    found: dict[tuple[str, str], Sentence] = {}
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            for one in in_source(path.read_text(encoding="utf-8"), str(path.relative_to(root))):
                known = found.setdefault((one.file, one.text), one)
                if one.advice and not known.advice:
                    found[one.file, one.text] = replace(known, advice=one.advice)
    for pattern in ROLES:
        for path in sorted(root.glob(pattern)):
            for one in in_tasks(path.read_text(encoding="utf-8"), str(path.relative_to(root))):
                found.setdefault((one.file, one.text), one)
    return sorted(found.values(), key=lambda one: (one.file, one.text))


def in_source(source: str, file: str) -> Iterator[Sentence]:
    tree = ast.parse(source)
    yield from _Reader(file).below(tree, REASON)


def in_tasks(source: str, file: str) -> Iterator[Sentence]:
    """What tasks of a role or a playbook say when they fail; a template is a hole."""
    for mapping in _mappings(yaml.safe_load(source)):
        for module in ("ansible.builtin.fail", "ansible.builtin.assert"):
            options = mapping.get(module) or {}
            for text in (str(options[name]) for name in SAID_BY_TASKS if name in options):
                whole = _closed(re.sub(r"\{\{.*?\}\}|\{%.*?%\}", HOLE, text, flags=re.DOTALL)).strip()
                if is_sentence(whole, FEWEST_IN_MESSAGES):
                    yield Sentence(whole, ERROR, file)


def _mappings(value: object) -> Iterator[dict[str, t.Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _mappings(inner)


class _Reader:
    """Goes through a module once. Strings in strings are parts of the outer one."""

    def __init__(self, file: str) -> None:
        self._file = file

    def below(self, node: ast.AST, kind: str) -> Iterator[Sentence]:
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from self._all(_without_docstrings(node.body), kind)
            return
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
            kind = ERROR if name.endswith("Error") or name in FAILS else WARNING if name in WARNINGS else kind
            if name.endswith("Error") and len(node.args) > 1:
                yield from self._with_advice(node)
                return
            if name == "compile":
                return
        text = template(node)
        if text is not None:
            if is_sentence(text, FEWEST_WORDS if kind == REASON else FEWEST_IN_MESSAGES):
                yield Sentence(text, kind, self._file)
            return
        yield from self._all(ast.iter_child_nodes(node), kind)

    def _all(self, nodes: Iterable[ast.AST], kind: str) -> Iterator[Sentence]:
        for node in nodes:
            yield from self.below(node, kind)

    def _with_advice(self, call: ast.Call) -> Iterator[Sentence]:
        first, second, *others = call.args
        advice = template(second)
        for one in self.below(first, ERROR):
            yield replace(one, advice=advice or "")
        if advice is None or template(first) is None:
            yield from self.below(second, REASON)
        yield from self._all(others, REASON)


def _without_docstrings(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    # A string that stands alone documents what is before it.
    yield from (one for one in body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)))


def template(node: ast.AST) -> str | None:
    """A string expression with holes for what is computed; None for any other expression."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return _closed("".join(str(part.value) if isinstance(part, ast.Constant) else HOLE for part in node.values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        sides = (template(node.left), template(node.right))
        return None if sides == (None, None) else _closed("".join(HOLE if side is None else side for side in sides))
    return None


def _closed(text: str) -> str:
    return re.sub(f"{HOLE}+", HOLE, text)


def is_sentence(text: str, fewest: int = FEWEST_WORDS) -> bool:
    """Whether it has words enough, and is prose: no line of a file, no pattern, no path."""
    words = re.findall(r"(?<![\w$/.-])[A-Za-z][a-z']*(?![\w/=(])", text)
    return len(words) >= fewest and "\n" not in text.strip() and not re.search(r"\(\?|\[\^|\\[dws]|==\"", text)

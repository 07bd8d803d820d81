# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ARCHITECTURE.md names files and functions that exist, and every room."""

from __future__ import annotations

import ast
import re

import pytest

from ansible_collections.vfio.variants.tests.unit.rooms import CORE, ORDER, PICTURE, ROOT

PAGE = ROOT / "ARCHITECTURE.md"
FILE = re.compile(r"`((?:[\w.-]+/)+[\w.-]+)`")
QUOTED = re.compile(r"`([^`]+)`")
NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?(?:\(\))?")
FIRST_COLUMN = re.compile(r"^\|[^|]*\|")


def named() -> list[tuple[str, str]]:
    """Each file that the page names, and each function, class or attribute that the table names in one.

    In the table a name is of the file before it, and a file without a folder is in that file's folder.
    """
    text = PAGE.read_text(encoding="utf-8")
    found = {(match[1], "") for match in FILE.finditer(text)}
    for row in (FIRST_COLUMN.sub("", line) for line in text.splitlines() if line.startswith("| ")):
        file = ""
        for quoted in QUOTED.findall(row):
            if FILE.fullmatch(f"`{quoted}`"):
                file = quoted
            elif quoted.endswith(".py") and file:
                file = f"{file.rpartition('/')[0]}/{quoted}"
                found.add((file, ""))
            elif NAME.fullmatch(quoted) and file:
                found.add((file, quoted.removesuffix("()")))
    return sorted(found)


def defined(tree: ast.AST) -> set[str]:
    """The functions, classes and constants of a module, and `Class.name` for what its classes have."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{name}" for name in _bound(node.body)}
        if isinstance(node, (ast.ClassDef, ast.Module)):
            found |= _bound(node.body)
    return found


def _bound(body: list[ast.stmt]) -> set[str]:
    found = {node.name for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    targets = [node.target for node in body if isinstance(node, ast.AnnAssign)]
    return found | {target.id for target in targets if isinstance(target, ast.Name)}


@pytest.mark.parametrize(("path", "name"), named())
def test_what_the_page_names_exists(path: str, name: str) -> None:
    base = ROOT if path.startswith(("plugins/", "roles/", "tests/", "docs/", "playbooks/", "tools/")) else CORE
    file = base / path
    assert file.exists()
    if name:
        assert name in defined(ast.parse(file.read_text(encoding="utf-8")))


def test_names_are_looked_for_wherever_a_row_has_them() -> None:
    """One behind a comma, one of a class, and a file without its folder."""
    pairs = set(named())
    assert {("claim/guards.py", "judge"), ("claim/guards.py", "refuse"), ("udev/rules.py", "Rules"), ("pci/uses_mounts.py", "")} <= pairs
    assert any("." in name for _path, name in pairs)


def test_every_file_of_the_core_is_named_or_imported_by_one_that_is() -> None:
    files = {str(path.relative_to(CORE)): path for path in CORE.rglob("*.py") if path.name != "__init__.py"}
    rows = {path for path, _name in named()} & files.keys()
    imported = {file for row in rows for file in _imports(files[row].read_text(encoding="utf-8"))}
    assert sorted(files.keys() - rows - imported) == []


def _imports(text: str) -> set[str]:
    """The files of the core that another one imports names of, or as a whole."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and "._core." in (node.module or ""):
            place = str(node.module).partition("._core.")[2].replace(".", "/")
            found |= {f"{place}.py", *(f"{place}/{alias.name}.py" for alias in node.names)}
    return found


def test_the_page_leads_into_every_room() -> None:
    assert {path.partition("/")[0] for path, _name in named()} >= set(ORDER)


def test_the_page_shows_the_picture() -> None:
    assert f"({PICTURE.relative_to(ROOT)})" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("question", ["alias lookup", "udev rule writer", "is it in use", "GRUB's default entry"])
def test_a_newcomer_finds_it_in_one_step(question: str) -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|") and question in line]
    assert len(rows) == 1
    assert FILE.search(rows[0])

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ARCHITECTURE.md names files and functions that exist, and every room."""

from __future__ import annotations

import ast
import re

import pytest

from ansible_collections.vfio.variants.tests.unit.rooms import CORE, ORDER, PICTURE, ROOT

PAGE = ROOT / "ARCHITECTURE.md"
FILE = re.compile(r"`((?:[\w.-]+/)+[\w.-]+)`(?:: `(\w+)(?:\(\))?`)?")


def named() -> list[tuple[str, str]]:
    """Each file that the page names, with the function or class that it names in it."""
    found = [(match[1], match[2] or "") for match in FILE.finditer(PAGE.read_text(encoding="utf-8"))]
    return sorted(set(found))


@pytest.mark.parametrize(("path", "name"), named())
def test_what_the_page_names_exists(path: str, name: str) -> None:
    base = ROOT if path.startswith(("plugins/", "roles/", "tests/", "docs/", "playbooks/", "tools/")) else CORE
    file = base / path
    assert file.exists()
    if name:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}


def test_the_page_leads_into_every_room() -> None:
    assert {path.partition("/")[0] for path, _name in named()} >= set(ORDER)


def test_the_page_shows_the_picture() -> None:
    assert f"({PICTURE.relative_to(ROOT)})" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("question", ["alias lookup", "udev rule writer", "is it in use", "GRUB's default entry"])
def test_a_newcomer_finds_it_in_one_step(question: str) -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|") and question in line]
    assert len(rows) == 1
    assert FILE.search(rows[0])

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Regular expressions over whole files take a time that grows with the file, not with its square."""

from __future__ import annotations

import ast
import re
import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit.rooms import ROOT

CORE = ROOT / "plugins/module_utils/_core"
OVER_LINES = re.compile(r"\^\(?(?:\?:)?\\s[*+]")
"""At the beginning of each line, blanks that go on over the ends of lines: of many empty lines, each is looked at from all before it."""


def patterns(source: str) -> t.Iterator[str]:
    """What is constant in each pattern whose ``^`` is the beginning of any line."""
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and call_of_re(node)):
        given = [*call.args, *(word.value for word in call.keywords)]
        if any(isinstance(node, ast.Attribute) and node.attr in ("MULTILINE", "M") for word in given for node in ast.walk(word)):
            parts = [node.value for node in ast.walk(call.args[0]) if isinstance(node, ast.Constant)]
            yield "".join(part if isinstance(part, str) else part.decode("latin-1") for part in parts if isinstance(part, (str, bytes)))


def call_of_re(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name) and call.func.value.id == "re"


@pytest.mark.parametrize(
    ("source", "is_bad"),
    [
        ('re.compile(r"^\\s*key=", re.MULTILINE)', True),
        ('re.search(rf"^\\s+{key}=", text, flags=re.MULTILINE | re.DOTALL)', True),
        ('re.compile(r"^(?:\\s*)key=", re.M)', True),
        ('re.compile(r"^[ \\t]*key=", re.MULTILINE)', False),
        ('re.compile(r"^\\s*key=")', False),
    ],
)
def test_such_a_pattern_is_noticed(source: str, is_bad: bool) -> None:
    assert any(OVER_LINES.search(pattern) for pattern in patterns(source)) == is_bad


def test_no_pattern_of_the_core_looks_at_empty_lines_again_and_again() -> None:
    found = {path: [*patterns(path.read_text(encoding="utf-8"))] for path in CORE.rglob("*.py")}
    assert sum(map(len, found.values())) > 50
    assert [(path.name, pattern) for path, texts in found.items() for pattern in texts if OVER_LINES.search(pattern)] == []

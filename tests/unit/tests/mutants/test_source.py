# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which mistakes are made in a file, and that each is made where it says."""

from __future__ import annotations

import ast

import pytest

from ansible_collections.vfio.variants.tests.mutants.sample import texts
from ansible_collections.vfio.variants.tests.mutants.source import Mutant, mutants_of, mutated


def changes(text: str) -> list[str]:
    return [mutant.change for mutant in mutants_of("room/file.py", text)]


def after(text: str, change: str) -> str:
    """The whole text with that mistake in it."""
    (mutant,) = (mutant for mutant in mutants_of("room/file.py", text) if mutant.change == change)
    return ast.unparse(mutated(mutant, text))


@pytest.mark.parametrize(
    ("line", "mistaken"),
    [
        ("a < b", {"a <= b", "a >= b"}),
        ("a == b", {"a != b"}),
        ("a in ('x', y)", {"a not in ('x', y)", "('x',)", "(y,)", "''"}),
        ("a and b", {"a or b", "a", "b"}),
        ("not a", {"a"}),
        ("a if b else c", {"a", "c"}),
        ("a[1:b]", {":b", "1:", "2", "0"}),
        ("a + b", {"a", "b"}),
        ("a & 5", {"a | 5", "a", "5", "6", "0"}),
        ("f('x', k=a)", {"f('x')", "''"}),
        ("[a, *b]", {"[*b]", "[a]"}),
        ("reversed(a)", {"list(a)"}),
        ("any(a)", {"all(a)"}),
        ("a.strip()", {"a"}),
        ("a.rstrip('/')", {"a", "a.lstrip('/')", "a.rstrip()", "''"}),
        ("a.get(b, c)", {"a.get(b)"}),
        ("[x for x in a if x]", {"for x in a"}),
        ("normalize_module_name(a)", {"a"}),
        ("re.compile('^a+?')", {"re.compile('a+?')", "re.compile('^a*?')", "re.compile('^a+')"}),
        ("f'{a} text'", set()),
        ("HostError('it is wrong', 'hint')", set()),
    ],
)
def test_an_expression_is_mistaken_in_these_ways(line: str, mistaken: set[str]) -> None:
    assert {change.split(" -> ")[1] for change in changes(f"x = {line}")} == mistaken


@pytest.mark.parametrize(
    ("text", "mistaken"),
    [
        ("def f(a):\n    if a:\n        g(a)\n", {"if True", "if False", "pass"}),
        ("def f() -> bool:\n    return g()\n", {"return True", "return False"}),
        ("def f() -> str | None:\n    return g()\n", {"return None"}),
        ("def f() -> tuple[str, ...]:\n    return g()\n", {"return ()"}),
        ("def f():\n    for a in b:\n        continue\n", {"break"}),
        ("def f():\n    raise HostError('no')\n", {"pass"}),
        ("try:\n    f()\nexcept OSError:\n    x = g\n", {"pass", "except: raise"}),
        ("def f(a=1): ...\n", {"2", "0"}),
        ('def f() -> "int | None":\n    """Text."""\n', set()),
        ("import a\nif t.TYPE_CHECKING:\n    b = 1\n", set()),
    ],
)
def test_a_statement_is_mistaken_in_these_ways(text: str, mistaken: set[str]) -> None:
    assert {change.split(" -> ")[1] for change in changes(text)} == mistaken


def test_a_mistake_is_made_in_one_place_alone() -> None:
    text = "def f(a):\n    return a == 1 or a == 1\n"
    assert after(text, "a == 1 -> a != 1") == "def f(a):\n    return a != 1 or a == 1"
    assert after(text, "a == 1 -> a != 1 #1") == "def f(a):\n    return a == 1 or a != 1"


def test_a_mutant_keeps_its_name_when_lines_above_it_change() -> None:
    text = "def f(a):\n    return a < 1\n"
    assert [one.name for one in mutants_of("a.py", text)] == [one.name for one in mutants_of("a.py", f"import x\n\n\n{text}")]


def test_a_mutant_that_is_no_more_is_named() -> None:
    gone = Mutant("a.py", "f", "number", "1", "2", 0, (1, 1), True)
    with pytest.raises(ValueError, match=r"a.py has no mutant 'a.py f: number: 1 -> 2' any more"):
        mutated(gone, "x = 3\n")


def test_defaults_run_when_the_module_is_imported_and_a_body_when_it_is_called() -> None:
    found = {mutant.before: mutant for mutant in mutants_of("a.py", "def f(a=1):\n    return g(\n        a + 2\n    )\n")}
    assert (found["1"].in_function, found["2"].in_function) == (False, True)
    assert found["2"].lines == (2, 4)


@pytest.mark.sampled(4)
def test_each_mutant_of_the_core_has_a_name_of_its_own_and_is_a_program() -> None:
    for file, text in texts().items():
        mutants = mutants_of(file, text)
        assert len({mutant.name for mutant in mutants}) == len(mutants)
        for mutant in mutants[:: max(1, len(mutants) // 3)]:
            compile(mutated(mutant, text), file, "exec")

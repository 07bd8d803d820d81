# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands between a rule's quotes: how its end is found, what a backslash means, and which substitutions there are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.udev.values import (
    FORMATS,
    InvalidValueError,
    parse_value,
    substitutions,
    wrong_substitution,
)


@pytest.mark.parametrize(
    ("text", "value", "rest"),
    [
        ('""', "", ""),
        ('"a", KERNEL=="b"', "a", ', KERNEL=="b"'),
        (r'"a\"b" c', 'a"b', " c"),
        (r'"a\\b"', r"a\\b", ""),
        (r'"a\nb"', r"a\nb", ""),
        (r'"\"" x', '"', " x"),
        ('e"a"', "a", ""),
        (r'e"a\"b" c', 'a"b', " c"),
        (r'e"a\\" c', "a\\", " c"),
    ],
)
def test_a_value_ends_at_a_quote_without_a_backslash(text: str, value: str, rest: str) -> None:
    found, ignores_case, end = parse_value(f"=={text}", 2, None)
    assert (found, ignores_case, f"=={text}"[end:]) == (value, False, rest)


@pytest.mark.parametrize("text", ["", "a", "'a'", '"a', r'"a\"', 'x"a"', 'ee"a"', 'ii"a"', ' "a"', 'E"a"', 'e "a"', r'e"a\"'])
def test_what_has_no_quotes_or_another_prefix_is_not_a_value(text: str) -> None:
    with pytest.raises(InvalidValueError):
        parse_value(text, 0, None)


@pytest.mark.parametrize(
    ("prefix", "ignores_case", "value"),
    [("", False, r"a\t"), ("e", False, "a\t"), ("i", True, r"a\t"), ("ei", True, "a\t"), ("ie", True, "a\t")],
)
def test_prefixes_say_whether_case_counts_and_whether_there_are_escapes(prefix: str, ignores_case: bool, value: str) -> None:
    assert parse_value(f'{prefix}"a\\t"', 0, None)[:2] == (value, ignores_case)
    assert parse_value(f'{prefix}"a\\t"', 0, 256)[:2] == (value, ignores_case)


@pytest.mark.parametrize("prefix", ["i", "ei", "ie"])
def test_old_versions_do_not_know_the_prefix_i(prefix: str) -> None:
    with pytest.raises(InvalidValueError):
        parse_value(f'{prefix}"a"', 0, 255)
    assert parse_value('e"a"', 0, 255)[0] == "a"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"\a\b\f\n\r\t\v\s", "\a\b\f\n\r\t\v "),
        (r"\\x\"y\'z", "\\x\"y'z"),
        (r"\x41\x7a", "Az"),
        (r"\101\012", "A\n"),
        (r"\u00e9\u2028", "\u00e9\u2028"),
        (r"\U0001F600", "\U0001f600"),
        (r"\U0010fffD", "\U0010fffd"),
        (r"\uD7FF\uE000\ufdcf\ufdf0\ufffd", "\ud7ff\ue000\ufdcf\ufdf0\ufffd"),
        (r"\xff\377", "\xff\xff"),
        (r"a\tb\tc", "a\tb\tc"),
        (r"\\\\", "\\\\"),
        (r"\x41\\t", "A\\t"),
    ],
)
def test_an_escape_stands_for_a_character(text: str, value: str) -> None:
    """cunescape() in src/basic/escape.c."""
    assert parse_value(f'e"{text}"', 0, None)[0] == value


@pytest.mark.parametrize(
    "text",
    [
        *(r"\q", r"\x4", r"\xg1", r"\u123", r"\U0001F60", r"\10", r"\8", r"\400", r"\777", r"\x00", r"\000", r"\u0000", r"\U00000000"),
        *(r"\U00110000", r"\uD800", r"\uDFFF", r"\uFDD0", r"\uFDEF", r"\uFFFE", r"\uFFFF", r"\U0001FFFE", r"\U0010FFFF"),
    ],
)
def test_what_is_not_an_escape_or_no_character_makes_the_value_invalid(text: str) -> None:
    with pytest.raises(InvalidValueError):
        parse_value(f'e"{text}"', 0, None)


# What udev 252 and 257 took for substitutions, and what their manual says; tests/forecast/udev_formats.py asked them.
RECORDED = json.loads((Path(__file__).resolve().parents[6] / "tests/forecast/observed/udev_formats.json").read_text(encoding="utf-8"))
DOCUMENTED: dict[str, str] = RECORDED["documented"]


@pytest.mark.parametrize("version", ["252", "257"])
def test_the_names_and_letters_are_those_that_udev_itself_takes(version: str) -> None:
    names, letters = RECORDED[version]
    # `$sysctl` is `$sys`, and the text `ctl`.
    assert {name for name in names if not any(name != other and name.startswith(other) for other in FORMATS)} == {
        name for name in FORMATS if name != "sysfs"
    }
    assert "sysfs" in names
    assert set(FORMATS.values()) == set(letters)


def test_the_letters_are_those_of_udev_s_manual() -> None:
    assert len(DOCUMENTED) > 10
    assert {name: FORMATS[name] for name in DOCUMENTED} == DOCUMENTED
    # It has no letters for these, and calls none of them by two names but the old ones.
    assert {FORMATS[name] for name in FORMATS.keys() - DOCUMENTED.keys()} - set(DOCUMENTED.values()) == {"d", "D", "L"}
    assert (FORMATS["tempnode"], FORMATS["sysfs"]) == (DOCUMENTED["devnode"], DOCUMENTED["attr"])


@pytest.mark.parametrize(("name", "letter"), DOCUMENTED.items())
def test_a_substitution_s_name_and_its_letter_are_filled_in_alike(name: str, letter: str) -> None:
    braces = "{x}" if letter in "sE" else ""
    found = [[(one.letter, one.attribute) for one in substitutions(f"a{sign}{braces}b")] for sign in (f"${name}", f"%{letter}")]
    assert found == [[(letter, "x" if braces else None)]] * 2
    assert (wrong_substitution(f"${name}{braces}"), wrong_substitution(f"%{letter}{braces}")) == (None, None)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("", []),
        ("plain", []),
        ("$$", [("$", None, 0, 2)]),
        ("%%", [("%", None, 0, 2)]),
        ("%k%n", [("k", None, 0, 2), ("n", None, 2, 4)]),
        ("a$kernel.b", [("k", None, 1, 8)]),
        ("$env{X}$env{Y}", [("E", "X", 0, 7), ("E", "Y", 7, 14)]),
        ("$attr{a/b}", [("s", "a/b", 0, 10)]),
        ("$result{1}", [("c", "1", 0, 10)]),
        ("%c{2+}", [("c", "2+", 0, 6)]),
        ("%c{ 2}", [("c", " 2", 0, 6)]),
        ("$kernel{x}", [("k", "x", 0, 10)]),
        ("$$kernel", [("$", None, 0, 2)]),
        ("%%k%k", [("%", None, 0, 2), ("k", None, 3, 5)]),
        ("$x%k", [("k", None, 2, 4)]),
        ("$env%k", []),
        ("%k$env%n", [("k", None, 0, 2)]),
        ("$env{%k}", [("E", "%k", 0, 8)]),
        ("$env{}", []),
        ("$env{X", []),
        ("%c{x}", [("c", "x", 0, 5)]),
        ("%c{1++}", [("c", "1++", 0, 7)]),
        ("%c{1x}", [("c", "1x", 0, 6)]),
        ("%k{", []),
        ("$", []),
        ("%", []),
        ("%z", []),
        ("$attr", []),
        ("%E", []),
    ],
)
def test_what_is_filled_in_and_where_it_stands(value: str, found: list[tuple[str, str | None, int, int]]) -> None:
    assert [tuple(one) for one in substitutions(value)] == found


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("", None),
        ("plain $$ %% $kernel", None),
        ("$env{X} %c{1+}", None),
        ("a $x b", "$x b"),
        ("$kernel $env", "$env"),
        ("$env{}", "$env{}"),
        ("%s", "%s"),
        ("%c{x}", "%c{x}"),
        ("%k{", "%k{"),
        ("100%", "%"),
        ("$", "$"),
    ],
)
def test_what_only_looks_like_a_substitution_is_named(value: str, wrong: str | None) -> None:
    assert wrong_substitution(value) == wrong

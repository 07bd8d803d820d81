# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import (
    Objection,
    ParameterType,
    objection,
    parse_boolean,
    parse_number,
)


@pytest.mark.parametrize(
    ("kind", "taken", "refused"),
    [
        (
            "int",
            ["0", "-1", "+7", "0x10", "017", "2147483647", "-2147483648", "5\n"],
            ["", "x", "08", "0x", "1 ", " 1", "2147483648", "1.5", "--1", None],
        ),
        ("uint", ["0", "4294967295", "+3"], ["-1", "-0", "4294967296", "", None]),
        ("byte", ["255"], ["256", "-1"]),
        ("short", ["-32768"], ["32768"]),
        ("ushort", ["65535"], ["65536", "-1"]),
        ("long", ["-9223372036854775808"], ["9223372036854775808"]),
        ("ulong", ["18446744073709551615"], ["18446744073709551616"]),
        ("ullong", ["0xffffffffffffffff"], ["-1"]),
        ("hexint", ["0xffffffff", "12"], ["0x1ffffffff", "ff"]),
        ("bool", [None, "1", "y", "Yes", "true", "on", "0", "no", "False", "oFF"], ["", "2", "maybe", "o", "-1"]),
        ("bint", [None, "1"], ["2", "x"]),
        ("invbool", ["1", "n"], [None, "2"]),
        ("charp", ["", "any thing", "x" * 1024], [None, "x" * 1025]),
        ("array of int", ["7"], ["", "x", ",", None]),
        ("array of charp", ["", "x"], [None]),
    ],
)
def test_each_type_reads_its_own_values(kind: str, taken: list[str | None], refused: list[str | None]) -> None:
    assert [value for value in taken if objection(ParameterType(kind), value) is not None] == []
    assert [value for value in refused if not _is_refused(ParameterType(kind), value)] == []


def _is_refused(kind: ParameterType, value: str | None) -> bool:
    found = objection(kind, value)
    return found is not None and found.certain


def test_an_array_takes_as_many_elements_as_it_has() -> None:
    two = ParameterType("array of bool", 2)
    assert objection(two, "1,n") is None
    assert objection(two, "1,0,1") == Objection("has more than 2 elements")
    assert objection(two, "1,,0") == Objection("has an element that is neither on nor off, as a bool must be")


def test_a_text_of_a_size_that_is_not_known_may_be_too_long() -> None:
    """param_set_copystring(): the buffer's size is the module's; the smallest in the kernel's tree take 15 characters and the end."""
    assert objection(ParameterType("string"), "x" * 15) is None
    assert objection(ParameterType("string"), "x" * 16) == Objection("may be longer than the module's buffer", certain=False)
    assert objection(ParameterType("string", 16), "x" * 16) == Objection("is longer than 15 characters")


def test_an_array_whose_size_is_not_known_may_be_too_small() -> None:
    found = objection(ParameterType("array of int"), "1,2")
    assert found is not None
    assert not found.certain


def test_a_string_takes_what_its_buffer_holds_with_a_nul() -> None:
    assert objection(ParameterType("string", 1024), "x" * 1023) is None
    assert objection(ParameterType("string", 1024), "x" * 1024) == Objection("is longer than 1023 characters")
    unknown = objection(ParameterType("string"), "x" * 100)
    assert unknown is not None
    assert not unknown.certain


@pytest.mark.parametrize("kind", ["", "xint", "array of axis"])
def test_what_the_module_reads_itself_cannot_be_decided(kind: str) -> None:
    found = objection(ParameterType(kind), "1")
    assert found is not None
    assert not found.certain


def test_words_that_newer_kernels_alone_take_cannot_be_decided() -> None:
    found = objection(ParameterType("bool"), "enable")
    assert found is not None
    assert not found.certain


def test_numbers_and_booleans_are_the_kernel_s() -> None:
    assert [parse_number(text) for text in ("0x1F", "017", "-5", "0", "9")] == [31, 15, -5, 0, 9]
    assert [parse_boolean(text) for text in ("yes", "no", "on", "off", "")] == [True, False, True, False, None]

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and patterns, compared as the C library's own fnmatch(3) does, which kmod and udev call."""

from __future__ import annotations

import ctypes
import random

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import is_pattern, matches

LIBC = ctypes.CDLL(None)


def fnmatch(name: str, pattern: str) -> bool:
    status: int = LIBC.fnmatch(pattern.encode(), name.encode(), 0)
    return status == 0


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("pci:v0000[^8]*d*", True),
        ("pci:v0000[!8]*d*", True),
        ("pci:v0000[^1]*d*", False),
        ("pci:v00001?De*", False),
        ("pci:v\\0000*", True),
        ("pci:v00001[0-]*", True),
        ("pci:v0000[[:digit:]]*", True),
        ("pci:v00001[9-0]*", False),
        ("pc[!z-a]:v0000*", True),
        ("[[:lower:]]ci:v0000*", True),
        ("pci:v000010[[:lower:]]E*", False),
        ("pci:v000010DEd00001DB1", True),
        ("pci:v000010DEd00001DB", False),
        ("pci:v000010DEd00001DB1\\", False),
        ("pci:v0000[1*", False),
    ],
)
def test_signs_mean_what_they_mean_to_the_c_library(pattern: str, found: bool) -> None:
    name = "pci:v000010DEd00001DB1"
    assert matches(name, pattern) is fnmatch(name, pattern) is found


@pytest.mark.sampled(3)
def test_drawn_patterns_match_what_the_c_library_matches() -> None:
    choice = random.Random(20)  # noqa: S311 - repeatable on purpose
    found = 0
    for _number in range(40000):
        # Without a dot: `[.` begins a collating symbol, which nobody writes.
        pattern = "".join(choice.choice("aab*?[]!^-\\:c") for _sign in range(choice.randint(0, 9)))
        name = "".join(choice.choice("aab[]!^-\\:c") for _sign in range(choice.randint(0, 6)))
        assert matches(name, pattern) is fnmatch(name, pattern), (pattern, name)
        found += matches(name, pattern)
    assert found > 500


def test_a_pattern_of_many_wildcards_ends() -> None:
    assert not matches("a" * 200, "*a" * 150 + "b")
    assert matches("ab" * 150, "*a*b" * 150)


@pytest.mark.parametrize("pattern", ["[" * 1_000_000, "[[:a:]" * 200_000, "[\\]" * 300_000, "*a" * 500_000, "[" * 4000])
def test_a_pattern_that_nobody_writes_ends_soon(pattern: str) -> None:
    assert not matches("a", pattern)


def test_a_text_without_signs_is_not_a_pattern() -> None:
    assert [is_pattern(text) for text in ("0000:01:00.0", "a*", "a?", "a[b", "a\\b")] == [False, True, True, True, True]

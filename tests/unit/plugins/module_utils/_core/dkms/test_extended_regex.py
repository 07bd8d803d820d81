# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Extended regular expressions mean what they mean to bash, whose `=~` DKMS uses, and take no longer for being malicious."""

from __future__ import annotations

import contextlib
import random
import subprocess
import time

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.extended_regex import (
    InvalidExpressionError,
    UnknownExpressionError,
    found,
)

RELEASES = ("6.12.48+deb13-amd64", "5.14.0-503.el9.x86_64", "7.3", "", "a]b")
EXPRESSIONS = (
    r"^6\.(1|1[0-9])\.",
    "^(5.14|6.12).*amd64$",
    "^[56]",
    "^[^6]",
    "[[:digit:]]+[.]el9",
    "[]]",
    "[^]a]",
    "[a-]",
    "el9|deb13",
    "^7.[0-9]+$",
    "(6|7){1,2}.",
    "[0-9]{2}",
    "^.{3}$",
    "^$",
    "a|",
    "()",
    "6.*+d",
    "(^6|^5).*",
    "8$|64$",
    r"\+deb",
    "x?y?z?",
    r"[\.]12",
)


def bash(expression: str, text: str) -> int:
    """0 where it matches, 1 where it does not, 2 where bash says that it is not valid."""
    argv = ["bash", "-c", '[[ "$2" =~ $1 ]]', "bash", expression, text]
    return subprocess.run(argv, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}, capture_output=True, timeout=60, check=False).returncode


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_means_what_bash_means_by_it(expression: str) -> None:
    assert [found(expression, text) for text in RELEASES] == [bash(expression, text) == 0 for text in RELEASES]


def test_drawn_expressions_mean_what_bash_means_by_them() -> None:
    drawn = random.Random(7)  # noqa: S311 - drawn again in the same way
    known = 0
    for _one in range(300):
        expression = "".join(
            drawn.choice(["6", "a", ".", "*", "+", "?", "(", ")", "|", "[6a]", "[^6]", "^", "$", "{1,2}"]) for _sign in range(6)
        )
        text = "".join(drawn.choice("6ab") for _sign in range(4))
        try:
            answer = found(expression, text)
        except UnknownExpressionError:
            continue
        known += 1
        assert bash(expression, text) == (0 if answer else 1), (expression, text)
    assert known > 50


@pytest.mark.parametrize(
    "expression", ["*a", "(", "(a", "[a", "[z-a]", r"(a)\1", r"\d", "a{2,1}", "a{999}", "[[.a.]]", "a" * 5000, "(" * 100]
)
def test_what_is_not_valid_or_only_bash_knows_is_said_to_be_unknown(expression: str) -> None:
    with pytest.raises(UnknownExpressionError):
        found(expression, "6.12")


@pytest.mark.parametrize(
    "expression",
    [
        *("*a", "+", "?", "(*a)", "a|*b", "^*", "(", "(a|b", "[", "[a", "[]", "[^]", "[z-a]"),
        *("a{", "a{1", "a{x}", "a{2,1}", "{1}", "a{1,2,3}", "a{-1}", "\\", "a\\"),
    ],
)
def test_what_bash_says_is_not_valid_is_said_to_be_that(expression: str) -> None:
    assert bash(expression, "6.12") == 2
    with pytest.raises(InvalidExpressionError):
        found(expression, "6.12")


@pytest.mark.parametrize("expression", [")", "a)", "a{,2}", "a{256}", "[[=a=]]", "[[:foo:]]", "[[:cntrl:]]", r"\d", r"\<a", "[a-é]"])
def test_what_is_valid_for_some_is_never_called_invalid(expression: str) -> None:
    kind: type[Exception] | None = None
    try:
        found(expression, "6.12")
    except UnknownExpressionError as error:
        kind = type(error)
    assert kind is not InvalidExpressionError


def test_no_drawn_expression_is_called_invalid_that_bash_takes() -> None:
    drawn = random.Random(11)  # noqa: S311 - drawn again in the same way
    signs = ["6", "*", "+", "?", "(", ")", "|", "[", "]", "-", "^", "{", "1", ",", "}", "\\."]
    invalid = 0
    for _one in range(300):
        expression = "".join(drawn.choice(signs) for _sign in range(5))
        try:
            found(expression, "6")
        except InvalidExpressionError:
            invalid += 1
            assert bash(expression, "6") == 2, expression
        except UnknownExpressionError:
            continue
    assert invalid > 50


@pytest.mark.parametrize("expression", ["(a+)+$", "(a|a)*b", "(a*)*b", "(.*a){20}b", "((a{1,20}){1,20}){1,20}b", "a?" * 200 + "a" * 200])
def test_an_expression_that_goes_back_and_forth_ends_soon(expression: str) -> None:
    start = time.process_time()
    with contextlib.suppress(UnknownExpressionError):
        found(expression, "a" * 60)
    assert time.process_time() - start < 5

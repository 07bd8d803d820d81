# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Matches have the numbers of their lines, and no part of a text is counted twice."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.numbered_matches import numbered_matches


class Counted(str):
    """A text that notes how many characters were looked at for the ends of lines."""

    __slots__ = ("looked_at",)

    def count(self, *given: t.Any) -> int:
        _what, start, end = given
        self.looked_at = getattr(self, "looked_at", 0) + end - start
        return super().count(*given)


def test_the_line_is_that_in_which_the_group_begins() -> None:
    text = "a=1\n\n  \n b=2 c=3\nd=4"
    found = [(line, match["name"]) for line, match in numbered_matches(re.compile(r"\s*(?P<name>\w)=\d"), text, "name")]
    assert found == [(1, "a"), (4, "b"), (4, "c"), (5, "d")]
    assert [line for line, _match in numbered_matches(re.compile(r"\s*\w=\d"), text)] == [1, 1, 4, 4]


def test_a_text_is_counted_once_however_many_matches_are_in_it() -> None:
    text = Counted("a=1\n" * 500)
    assert len(list(numbered_matches(re.compile("a="), text))) == 500
    assert text.looked_at <= len(text)

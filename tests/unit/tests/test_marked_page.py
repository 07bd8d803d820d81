# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.tests import marked_page


def test_only_what_stands_between_the_marks_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a -->\nold\nlines\n<!-- b -->\nbehind\n")
    marked_page.rewrite(page, "<!-- a -->", "<!-- b -->", "new")
    assert page.read_text() == "before\n<!-- a -->\nnew\n<!-- b -->\nbehind\n"
    assert [path.name for path in tmp_path.iterdir()] == ["page.md"]


@pytest.mark.parametrize("text", ["nothing", "<!-- a --> alone", "<!-- b --> before <!-- a -->"])
def test_a_page_without_its_marks_is_named_and_stays(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(ValueError, match=r"page\.md: There is no place between <!-- a --> and <!-- b -->"):
        marked_page.rewrite(page, "<!-- a -->", "<!-- b -->", "new")
    assert page.read_text() == text

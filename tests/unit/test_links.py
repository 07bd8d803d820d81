# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guides link to is there: the file, and in it the heading."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)")


def links() -> list[tuple[str, str, str]]:
    """Each link to a file of the repository: the page, the path as it stands there, the heading's anchor or nothing."""
    return [
        (page.name, *found)
        for page in sorted(DOCS.glob("*.md"))
        for found in sorted(set(LINK.findall(CODE.sub("", page.read_text("utf-8")))))
    ]


def anchors(page: Path) -> set[str]:
    """As forges make them of headings: small letters, no punctuation, dashes for spaces."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("page", "path", "anchor"), links())
def test_a_link_leads_to_a_file_and_a_heading(page: str, path: str, anchor: str) -> None:
    target = (DOCS / path).resolve() if path else DOCS / page
    assert target.exists()
    if anchor:
        assert anchor in anchors(target)

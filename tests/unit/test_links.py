# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages link to is there: the file, and in it the heading."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.tests.unit.documented_pages import ROOT, pages

# Its links are those of the built site, whose folder is that of the repository.
FRONT = ROOT / "docs/site/index.md"
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)")


def links() -> list[tuple[str, str, str]]:
    """Each link to a file of the repository: the page, the path as it stands there, the heading's anchor or nothing."""
    return [
        (str(page.relative_to(ROOT)), *found)
        for page in pages()
        if page != FRONT
        for found in sorted(set(LINK.findall(CODE.sub("", page.read_text("utf-8")))))
    ]


def anchors(page: Path) -> set[str]:
    """As forges make them of headings: small letters, no punctuation, dashes for spaces."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("page", "path", "anchor"), links())
def test_a_link_leads_to_a_file_and_a_heading(page: str, path: str, anchor: str) -> None:
    target = (ROOT / page).parent.joinpath(path).resolve() if path else ROOT / page
    # The site has no page for a folder.
    assert target.is_file()
    if anchor:
        assert anchor in anchors(target)

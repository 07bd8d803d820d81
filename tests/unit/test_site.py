# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every guide and every task is on the documentation site, and can be reached from its front page."""

from __future__ import annotations

import re

from ansible_collections.vfio.variants.tests.unit.documented_pages import ROOT, blocks, pages

FRONT = ROOT / "docs/site/index.md"
WRITTEN_LATER = ("reference/", "troubleshooting/")


def listed() -> list[str]:
    """What the tables of contents of the front page name."""
    tables = [content for language, content in blocks(FRONT.read_text(encoding="utf-8")) if language == "{toctree}"]
    return [line for table in tables for line in table.splitlines() if line and not line.startswith(":")]


def test_the_front_page_leads_to_each_page_once_and_to_nothing_else() -> None:
    there = {str(page.relative_to(ROOT).with_suffix("")) for page in pages() if page != FRONT}
    own = [name for name in listed() if not name.startswith(WRITTEN_LATER) and name != "CHANGELOG"]
    assert sorted(own) == sorted(there)


def test_the_page_of_tasks_leads_to_each_task() -> None:
    linked = set(re.findall(r"\]\(tasks/([\w-]+\.md)\)", (ROOT / "docs/tasks.md").read_text(encoding="utf-8")))
    assert linked == {page.name for page in (ROOT / "docs/tasks").glob("*.md")}

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the table of presets into the guide to test machines: `tools/run python tests/unit/preset_table.py`."""

from __future__ import annotations

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.presets import rows
from ansible_collections.vfio.variants.tests import marked_page
from ansible_collections.vfio.variants.tests.unit.rooms import ROOT

PAGE = ROOT / "docs/testbed.md"
BEGIN, END = "<!-- presets: written by tests/unit/preset_table.py -->", "<!-- end of presets -->"
HEAD = ("`preset`", "card", "ID", "class", "subsystem", "BARs", "source")


def table() -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (HEAD, *rows())]
    return "\n".join([lines[0], "|---" * len(HEAD) + "|", *lines[1:]])


if __name__ == "__main__":
    marked_page.rewrite(PAGE, BEGIN, END, table())

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.vfio.variants.tests.bench import page, ratios
from ansible_collections.vfio.variants.tests.bench.ratios import AIMS, LEAST


def test_the_page_that_is_there_has_every_row_that_has_a_limit() -> None:
    text = (Path(__file__).resolve().parents[4] / page.PAGE).read_text(encoding="utf-8")
    missing = [name for name in (*ratios.LIMITS, *LEAST, *AIMS) if f"| {name} |" not in text]
    assert missing == []
    assert re.search(r"at commit `[0-9a-f]{12}`", text)

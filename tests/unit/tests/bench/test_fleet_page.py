# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.tests.bench import fleet_page
from ansible_collections.vfio.variants.tests.bench.ratios import LIMITS


@pytest.mark.sampled(3)
def test_the_page_of_a_fleet_is_opened_beside_one_of_as_many_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_page, "ROUNDS", 1)
    size, seconds, ratio = fleet_page.measure(tmp_path)
    assert {size.name, seconds.name, ratio.name} <= LIMITS.keys()
    written = (tmp_path / "index.html").stat().st_size
    assert (tmp_path / "floor.html").stat().st_size == written == size.processor
    # More than text, and not for nothing.
    assert ratio.processor > 1.0
    assert seconds.processor > 0.05
    assert seconds.wall is not None


def test_what_a_process_and_those_below_it_used_is_counted() -> None:
    used = fleet_page._processor(os.getpid())
    assert used[os.getpid()] > 0.0
    assert os.getppid() not in used

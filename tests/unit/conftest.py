# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every unit test."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host import cache


@pytest.fixture(autouse=True)
def cache_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing that a test reads is remembered in this machine's own cache, and nothing from there is believed."""
    monkeypatch.setattr(cache, "DIRECTORY", str(Path(tmp_path_factory.getbasetemp()) / "cache-of-the-machine"))

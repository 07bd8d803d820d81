# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several rehearsals at a time stay within this machine's memory."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal import rehearsal

GIB = 1 << 30


@pytest.fixture(autouse=True)
def eight_gib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "_memory", lambda name: 8 * GIB if name == "MemTotal" else None)


@pytest.mark.parametrize(("each", "machines"), [(2 * GIB, 3), (16 * GIB, 1)])
def test_what_fits_is_allowed(each: int, machines: int) -> None:
    """One alone is judged by what is free when it starts."""
    rehearsal._check_total(each, machines)


def test_more_than_there_is_names_how_many_fit() -> None:
    with pytest.raises(HostError, match=r"^forks: 4 machines of 2048 MiB do not fit: this machine has 8192 MiB.*Allowed are up to 3 "):
        rehearsal._check_total(2 * GIB, 4)

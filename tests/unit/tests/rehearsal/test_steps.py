# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the seconds of a host go: a line for each step, in their order, those of the machine's boot among them."""

from __future__ import annotations

import time

import pytest
from rehearsed_host import Steps

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.boot import STILL


def test_each_step_has_its_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    steps = Steps("world-1")
    for step, seconds in (
        ("writing the disk", 2.0),
        ("7.3: boot 1 of 1", 20.0),
        (f"{STILL}console: udev", 5.5),
        ("booting it for real", 30.0),
    ):
        steps(step)
        now[0] += seconds
    steps.end()
    assert steps.text() == "writing the disk 2.0 s, 7.3: boot 1 of 1 25.5 s, booting it for real 30.0 s"

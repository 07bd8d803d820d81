# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller's side of rehearse refuses before it asks the host, and when it fails."""

from __future__ import annotations

import os
import signal
import tempfile
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.action.rehearse import _judged, _settings, _unless_ended
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.modules.rehearse import argument_spec

Row = dict[str, t.Any]
DEFAULTS = {name: spec.get("default") for name, spec in argument_spec().items()}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("repeat", 0), ("repeat", 21), ("cpus", 0), ("cpus", 65), ("hold", 0), ("hold", 3601), ("forks", 0), ("forks", 65)),
        *(("memory", "512M"), ("memory", "much"), ("timeout", 0), ("timeout", 86401)),
    ],
)
def test_a_value_that_cannot_be_used_is_named(option: str, value: object) -> None:
    with pytest.raises(HostError, match=rf"^{option}: "):
        _settings({**DEFAULTS, option: value})


def test_the_defaults_can_be_used() -> None:
    assert _settings(DEFAULTS).memory == 2 << 30


def found(**row: t.Any) -> dict[str, t.Any]:
    basis = {"address": "0000:3b:00.0", "result": "agrees", "claimed": None, "stops": False, "why": "it is offered to nouveau."}
    return {"kernels": [{"release": "6.12.1", "devices": [{**basis, **row}]}]}


@pytest.mark.parametrize(
    ("row", "require", "fails"),
    [
        ({}, "agreement", False),
        ({"stops": True}, "agreement", True),
        ({"stops": True}, "nothing", False),
        ({"result": "not rehearsed", "claimed": "vfio-pci"}, "agreement", False),
        ({"result": "not rehearsed", "claimed": "vfio-pci"}, "rehearsed", True),
        ({"result": "not rehearsed"}, "rehearsed", False),
    ],
)
def test_what_stops_the_play(row: Row, require: str, fails: bool) -> None:
    assert _judged(found(**row), require).get("failed", False) is fails


def test_a_claimed_device_that_was_not_rehearsed_is_a_warning() -> None:
    (warning,) = _judged(found(result="not rehearsed", claimed="vfio-pci", why="it is a virtual function"), "agreement")["warnings"]
    assert "0000:3b:00.0 was not rehearsed: it is a virtual function" in warning


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_what_was_made_is_removed_when_a_signal_ends_it(tmp_path: Path, number: signal.Signals) -> None:
    def work() -> dict[str, t.Any]:
        with tempfile.TemporaryDirectory(dir=tmp_path):
            os.kill(os.getpid(), number)
            time.sleep(60)
        return {}

    # A program that a shell starts in the background ignores the keyboard's signal.
    before = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(HostError, match=f"was ended by {number.name}"):
            _unless_ended(work)
    finally:
        signal.signal(number, before)
    assert list(tmp_path.iterdir()) == []

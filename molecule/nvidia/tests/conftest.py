# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the cards are, to whom this boot offered them, and which modules it loaded."""

from __future__ import annotations

import json
import os
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.trace import EVENTS, OFFERED, events_of

FOLDER = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
TRACING = "/sys/kernel/tracing"


@pytest.fixture(scope="session")
def predicted() -> dict[str, t.Any]:
    """What was predicted of this boot, by address."""
    return t.cast("dict[str, t.Any]", json.loads((FOLDER / "predicted.json").read_text()))


@pytest.fixture(scope="module")
def trace(host: t.Any) -> list[str]:
    """The kernel's trace since it started."""
    assert f"kprobe_event=p:{OFFERED},{EVENTS[OFFERED]}" in host.file("/proc/cmdline").content_string.split()
    host.check_output(f"mountpoint -q {TRACING} || mount -t tracefs tracefs {TRACING}")
    return t.cast("list[str]", host.check_output(f"cat {TRACING}/trace").splitlines())


@pytest.fixture(scope="module")
def offered(trace: list[str], at: dict[str, str]) -> dict[str, list[str]]:
    """The drivers that each card was offered to, by the card's name, in order."""
    offers = [event for event in events_of(trace) if event.kind == OFFERED]
    return {name: [event.driver for event in offers if event.device == address] for name, address in at.items()}


@pytest.fixture(scope="module")
def loaded(trace: list[str]) -> list[str]:
    """The modules that were loaded, in order, whether they have stayed or not."""
    return [found[1] for line in trace for found in (re.search(r": module_load: (\S+)", line),) if found]

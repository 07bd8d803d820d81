# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of this scenario ask about: the emulated functions, and what touched them since the machine booted."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.access_log import AccessLog

FOLDER = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])


class Function(t.NamedTuple):
    """A PCI function of the machine, and whether a driver had read or written its BARs when the tests began."""

    address: str
    touched: bool


@pytest.fixture(scope="session", autouse=True)
def functions() -> dict[str, Function]:
    """The functions by name.  Their logs are read before any test does something through VFIO."""
    (machine,) = json.loads((FOLDER / "functions.json").read_text()).values()
    return {function["id"]: Function(function["address"], _touched(function.get("log"))) for function in machine}


def _touched(log: str | None) -> bool:
    return log is not None and AccessLog.read(log).since_boot().touched_by_driver

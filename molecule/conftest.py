# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of several scenarios ask: where a machine's functions are, and who has them now."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path, PurePosixPath

import pytest


@pytest.fixture(scope="module")
def at(host: t.Any) -> dict[str, str]:
    """The addresses of the machine's functions by their names."""
    functions = json.loads((Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "functions.json").read_text())
    return {function["id"]: function["address"] for function in functions[host.backend.host]}


@pytest.fixture(scope="module")
def driver_of(host: t.Any) -> t.Callable[[str], str]:
    """The driver that has the function at an address now, as the kernel says; empty where nobody has it."""

    def ask(address: str) -> str:
        found = host.run("readlink /sys/bus/pci/devices/%s/driver", address)
        return PurePosixPath(found.stdout.strip()).name if found.succeeded else ""

    return ask


@pytest.fixture(scope="module")
def owner(driver_of: t.Callable[[str], str], at: dict[str, str]) -> t.Callable[[str], str]:
    """The same of a function by its name."""
    return lambda function: driver_of(at[function])

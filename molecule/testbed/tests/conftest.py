# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the clients' tests ask: where the functions sit, who has them now, and what this collection says of them."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path, PurePosixPath

import pytest

FUNCTIONS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "functions.json"


@pytest.fixture(scope="module")
def at(host: t.Any) -> dict[str, str]:
    """The addresses of the machine's functions by their names."""
    return {function["id"]: function["address"] for function in json.loads(FUNCTIONS.read_text())[host.backend.host]}


@pytest.fixture(scope="module")
def owner(host: t.Any, at: dict[str, str]) -> t.Callable[[str], str]:
    """Who has a function now, as the kernel says; empty where nobody has it."""

    def ask(function: str) -> str:
        found = host.run("readlink /sys/bus/pci/devices/%s/driver", at[function])
        return PurePosixPath(found.stdout.strip()).name if found.succeeded else ""

    return ask


@pytest.fixture(scope="module")
def device_info(host: t.Any) -> t.Callable[[], dict[str, t.Any]]:
    """Asks this collection for all functions of the machine, as they are now; by address."""

    def ask() -> dict[str, t.Any]:
        return {device["address"]: device for device in host.ansible("vfio.variants.device_info", "forecast=false detail=full")["devices"]}

    return ask


@pytest.fixture(scope="module")
def claim(host: t.Any) -> t.Callable[..., dict[str, t.Any]]:
    """Claims devices as the scenario's group_vars do, and returns what device_claim reports."""

    def make(devices: str, driver: str = "auto") -> dict[str, t.Any]:
        options = json.dumps({"devices": [devices], "driver": driver})
        return t.cast("dict[str, t.Any]", host.ansible("vfio.variants.device_claim", options, check=False))

    return make

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the clients' tests ask this collection of the machine's functions."""

from __future__ import annotations

import json
import typing as t

import pytest


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

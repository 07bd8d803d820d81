# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's card, of the same ID as one that is claimed, is offered to a driver of the host's."""

from __future__ import annotations


def test_its_card_is_offered_to_its_drivers_alone(offered: dict[str, list[str]]) -> None:
    assert offered["gpu-host"]
    assert set(offered["gpu-host"]) <= {"nvidia", "nouveau"}


def test_its_driver_came(loaded: list[str]) -> None:
    assert "nvidia" in loaded

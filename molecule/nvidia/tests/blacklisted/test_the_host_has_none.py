# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A blacklist takes its drivers from every card, the host's own one as well."""

from __future__ import annotations

import typing as t


def test_its_card_is_offered_to_nobody(offered: dict[str, list[str]], owner: t.Callable[[str], str]) -> None:
    assert offered["gpu-host"] == []
    assert owner("gpu-host") == ""


def test_neither_driver_was_loaded(loaded: list[str]) -> None:
    assert {"nvidia", "nouveau"}.isdisjoint(loaded)

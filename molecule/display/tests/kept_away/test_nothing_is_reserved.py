# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot without the initcall that makes a device of the firmware's picture, or without its driver."""

from __future__ import annotations

import typing as t


def test_a_guest_can_have_the_whole_card(
    claim: t.Callable[..., dict[str, t.Any]],
    owner: t.Callable[[], str],
    reserved: t.Callable[[], list[str]],
    opened: t.Callable[[], t.Any],
) -> None:
    assert reserved() == []
    assert claim(guards={"console": "ignore"})["changed"]
    assert owner() == "vfio-pci"
    assert opened().succeeded
    assert claim("absent")["changed"]

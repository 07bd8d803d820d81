# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot after everything was given back: each native driver wins as if nobody had ever claimed its device."""

from __future__ import annotations

import typing as t

import pytest

NATIVES = {"gpu": "nouveau", "nic": "e1000e", "disk": "nvme", "blacklisted-nic": "igb"}


@pytest.mark.parametrize(("function", "native"), NATIVES.items())
def test_the_native_driver_owns_it(owner: t.Callable[[str], str], function: str, native: str) -> None:
    assert owner(function) == native

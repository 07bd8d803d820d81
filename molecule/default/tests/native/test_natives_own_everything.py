# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot that no policy touches: each native driver wins."""

from __future__ import annotations

import typing as t

import pytest

NATIVES = {
    "gpu-claimed": "nouveau",
    "gpu-same": "nouveau",
    "gpu-by-ids": "nouveau",
    "nic-claimed": "e1000e",
    "disk-by-ids": "nvme",
    "nic-by-blacklist": "igb",
}


@pytest.mark.parametrize(("function", "native"), NATIVES.items())
def test_the_native_driver_owns_it(owner: t.Callable[[str], str], function: str, native: str) -> None:
    assert owner(function) == native


def test_nouveau_really_runs_the_cards(host: t.Any, functions: dict[str, t.Any]) -> None:
    assert host.file("/dev/dri/card0").exists
    assert [name for name in functions if name.startswith("gpu") and not functions[name].touched] == []

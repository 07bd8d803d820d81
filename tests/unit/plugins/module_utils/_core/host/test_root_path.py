# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths below another root than `/`."""

from __future__ import annotations

import os
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.root_path import Root, links_stay

if t.TYPE_CHECKING:
    from pathlib import Path


def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The places that are asked for a link from now on."""
    asked: list[str] = []
    readlink = os.readlink

    def noting(path: str) -> str:
        asked.append(path)
        return readlink(path)

    monkeypatch.setattr(os, "readlink", noting)
    return asked


def test_each_place_is_looked_at_once_while_links_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "usr/lib/udev").mkdir(parents=True)
    (tmp_path / "lib").symlink_to("/usr/lib")
    root = Root(str(tmp_path))
    asked = looked_at(monkeypatch)
    with links_stay():
        places = {root.path(f"/lib/udev/{name}") for name in ("rules.d", "hwdb.d") for _time in range(3)}
        # In one that is begun inside nothing is forgotten.
        with links_stay():
            root.path("/lib/udev/keymaps")
    assert places == {f"{tmp_path}/usr/lib/udev/rules.d", f"{tmp_path}/usr/lib/udev/hwdb.d"}
    assert sorted(asked) == [f"{tmp_path}{place}" for place in ("/lib", "/usr", "/usr/lib", "/usr/lib/udev")]


def test_a_link_that_was_changed_counts_everywhere_else(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
    link = tmp_path / "here"
    link.symlink_to("one")
    root = Root(str(tmp_path))
    with links_stay():
        assert root.path("/here/file") == f"{tmp_path}/one/file"
    link.unlink()
    link.symlink_to("other")
    assert root.path("/here/file") == f"{tmp_path}/other/file"
    with links_stay():
        assert root.path("/here/file") == f"{tmp_path}/other/file"

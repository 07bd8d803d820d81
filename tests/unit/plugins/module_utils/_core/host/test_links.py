# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths over symbolic links, beside where the running kernel finds them."""

from __future__ import annotations

import os
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.links import MAX_LINKS, end_of_links, without_links

if t.TYPE_CHECKING:
    from pathlib import Path


def link(path: str) -> str | None:
    return os.readlink(path) if os.path.islink(path) else None


@pytest.mark.parametrize("links", [1, 2, MAX_LINKS])
def test_as_many_links_are_followed_as_by_the_kernel(tmp_path: Path, links: int) -> None:
    place = tmp_path.resolve()
    (place / "0").write_text("here")
    for number in range(links + 1):
        (place / str(number + 1)).symlink_to(str(number))
    assert (place / str(links)).read_text() == "here"
    assert without_links(str(place / str(links)), link) == str(place / "0")
    if links == MAX_LINKS:
        with pytest.raises(OSError, match="symbolic links"):
            (place / str(links + 1)).read_text()
        assert without_links(str(place / str(links + 1)), link) is None


PATHS = ("a/file", "absolute/file", "up/a/file", "a/inner/../file", "a/./up2/top", "missing/file", "a/missing", ".")


@pytest.mark.parametrize("path", PATHS)
def test_a_path_leads_where_the_kernel_says(tmp_path: Path, path: str) -> None:
    place = tmp_path.resolve()
    (place / "real" / "deep").mkdir(parents=True)
    (place / "real" / "file").write_text("")
    (place / "top").write_text("")
    (place / "a").symlink_to("real")
    (place / "absolute").symlink_to(place / "real")
    (place / "up").symlink_to("real/deep/../..")
    (place / "real" / "inner").symlink_to("deep")
    (place / "real" / "up2").symlink_to("..")
    assert without_links(f"{place}/{path}", link) == os.path.realpath(place / path)


def test_nothing_leads_above_the_root() -> None:
    links = {"/etc": "../../usr/./etc", "/usr/etc": "/../x"}
    assert without_links("/etc/file", links.get) == "/x/file"
    assert without_links("/../..", links.get) == "/"


def test_the_end_of_links_is_found_below_folders_that_are_none() -> None:
    links = {"/dev/a": "b", "/dev/b": "../dev/./c", "/loop": "loop"}
    assert end_of_links("/dev/a", links.get) == "/dev/c"
    assert end_of_links("/loop", links.get) == "/loop"

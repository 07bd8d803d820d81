# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files are as their packages brought them, by databases that rpm 4.18 and pacman 6.0.2 themselves have written.

The archive holds, for each, the files of one small package and what installing it below an empty root has left: by `rpmbuild -bb`
and `rpm --root … -i` with SQLite, and by `bsdtar --format=mtree`, as makepkg calls it, and `pacman --root … -U`.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.startup.ownership import Ownership
from ansible_collections.vfio.variants.tests.forecast.tar_files import unpack
from ansible_collections.vfio.variants.tests.unit.trees import Tree

ARCHIVE = Path(__file__).parents[4] / "files" / "package-databases.tar.xz"
KINDS = ("rpm", "pacman")
FILES = (
    "/etc/modprobe.d/cards.conf",
    "/usr/lib/udev/rules.d/71-cards.rules",
    "/usr/lib/systemd/system/cards.service",
    "/usr/libexec/cards",
)


def installed(kind: str, root: Path) -> Tree:
    with tarfile.open(ARCHIVE) as archive:
        unpack(archive, root)
    return Tree(root / kind)


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_as_its_package_brought_it_is_intact_until_it_is_changed(tmp_path: Path, kind: str, path: str) -> None:
    tree = installed(kind, tmp_path)
    found = Ownership.of(tree.host())
    assert (found.is_readable, found.has(path), found.is_intact(path)) == (True, True, True)
    place = tree.place(path)
    place.write_text(place.read_text(encoding="utf-8") + "# more\n", encoding="utf-8")
    changed = Ownership.of(tree.host())
    assert (changed.has(path), changed.is_intact(path)) == (True, False)


@pytest.mark.parametrize("kind", KINDS)
def test_what_no_package_has_brought_is_nobody_s(tmp_path: Path, kind: str) -> None:
    tree = installed(kind, tmp_path).file("/usr/libexec/other", "#!/bin/sh\n", 0o755)
    found = Ownership.of(tree.host())
    assert (found.has("/usr/libexec/other"), found.is_intact("/usr/libexec/other")) == (False, False)
    tree.place(FILES[-1]).unlink()
    assert not Ownership.of(tree.host()).is_intact(FILES[-1])


@pytest.mark.parametrize(
    ("kind", "place"), [("rpm", "/usr/lib/sysimage/rpm/rpmdb.sqlite"), ("pacman", "/var/lib/pacman/local/cards-1-1/mtree")]
)
def test_a_database_that_is_damaged_says_nothing(tmp_path: Path, kind: str, place: str) -> None:
    tree = installed(kind, tmp_path)
    content = tree.place(place).read_bytes()
    tree.file(place, content[: len(content) // 3])
    assert not Ownership.of(tree.host()).is_intact(FILES[0])


def test_rpm_s_database_may_lie_where_it_lay_before(tmp_path: Path) -> None:
    tree = installed("rpm", tmp_path)
    old = tree.place("/var/lib/rpm/rpmdb.sqlite")
    old.parent.mkdir(parents=True)
    tree.place("/usr/lib/sysimage/rpm/rpmdb.sqlite").rename(old)
    assert Ownership.of(tree.host()).is_intact(FILES[0])

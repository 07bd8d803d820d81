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

from ansible_collections.vfio.variants.plugins.module_utils._core.startup import package_databases
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


@pytest.mark.parametrize(("limit", "most"), [("MOST_KEPT", 20), ("LARGEST_KEPT", 20 * (len("/usr/bin/a000") + 32))])
def test_of_files_beyond_a_limit_for_all_packages_no_package_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(package_databases, limit, most)
    tree = Tree(tmp_path)
    for package in range(5):
        sums = "".join(f"{number:032x}  usr/bin/a{package * 10 + number:03}\n" for number in range(10))
        tree.file(f"/var/lib/dpkg/info/p{package}.md5sums", sums)
    found = package_databases.read(tree.host())
    assert found is not None
    assert (len(found), min(found), max(found)) == (20, "/bin/a000", "/bin/a019")


def test_a_path_in_two_packages_is_intact_as_either_has_brought_it(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    for package, digest in (("a", "0" * 32), ("b", "1" * 32)):
        tree.file(f"/var/lib/dpkg/info/{package}.md5sums", f"{digest}  usr/bin/x\n")
    assert package_databases.read(tree.host()) == {"/bin/x": frozenset(("0" * 32, "1" * 32))}

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of a kernel's source only what is wanted is read, whatever an archive has in it."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms import driver_files
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.linux_tree import LinuxTree, read_tree
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.images import packed
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.dkms.kernel_sources import archive, linux
from ansible_collections.vfio.variants.tests.unit.trees import Tree

WANTED = {
    "COPYING",
    "Makefile",
    "drivers/vfio/pci/acme/Kconfig",
    "drivers/vfio/pci/acme/Makefile",
    "drivers/vfio/pci/acme/main.c",
    "include/linux/pci_ids.h",
}


def read(tmp_path: Path, content: bytes, name: str = "linux.tar") -> LinuxTree:
    Tree(tmp_path).file(f"/srv/{name}", content)
    return read_tree(Tree(tmp_path).host(), f"/srv/{name}")


@pytest.mark.parametrize("kind", ["w", "w:xz", "w:gz", "w:bz2"])
@pytest.mark.parametrize("folder", ["linux-source-6.12", "linux-6.12.107", "./a"])
def test_an_archive_of_any_kind_and_folder_gives_the_drivers_and_the_version(tmp_path: Path, kind: str, folder: str) -> None:
    tree = read(tmp_path, archive(linux("6.12.107"), folder, kind))
    assert (set(tree.files), tree.version) == (WANTED, "6.12.107")


def test_a_folder_gives_the_same_as_an_archive(tmp_path: Path) -> None:
    for name, text in linux("6.12.107").items():
        Tree(tmp_path).file(f"/srv/linux/{name}", text)
    found = read_tree(Tree(tmp_path).host(), "/srv/linux")
    assert found.files == read(tmp_path, archive(linux("6.12.107"))).files


def test_an_archive_that_zstd_has_packed_is_read_too(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    plain = archive(linux("6.12.107"), kind="w")
    tree.file("/srv/a.tar", plain).file("/srv/a.tar.zst", packed(plain, "zstd"))
    host = tree.host(Commands(tree.root))
    assert read_tree(host, "/srv/a.tar.zst").files == read_tree(host, "/srv/a.tar").files


def test_what_is_cached_is_read_back_as_it_was(tmp_path: Path) -> None:
    tree = read(tmp_path, archive(linux("6.12.107")))
    assert LinuxTree.decoded(tree.encoded()) == tree


def test_an_archive_is_not_read_beyond_what_is_wanted(tmp_path: Path) -> None:
    names = dict.fromkeys(driver_files.ID_LISTS, "#define X 1\n")
    whole = archive({**linux("6.12.107"), **names, "other": "x" * 20000, "last": "x"}, kind="w")
    cut_off = whole[: whole.index(b"linux-source-6.12/other") + 12000]
    assert read(tmp_path, cut_off).version == "6.12.107"


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "drivers/vfio/pci/acme/../../../x", "drivers/vfio/pci/acme/a b", "drivers/vfio/pci/x.c"]
)
def test_no_other_name_is_taken(tmp_path: Path, name: str) -> None:
    assert set(read(tmp_path, archive({**linux("6.12.107"), name: "x"})).files) == WANTED


def test_links_and_devices_in_an_archive_are_passed_over(tmp_path: Path) -> None:
    buffer = io.BytesIO(archive(linux("6.12.107"), kind="w"))
    with tarfile.open(fileobj=buffer, mode="a") as opened:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            member = tarfile.TarInfo("linux-source-6.12/drivers/vfio/pci/acme/other.c")
            member.type, member.linkname = kind, "/etc/passwd"
            opened.addfile(member)
    assert set(read(tmp_path, buffer.getvalue()).files) == WANTED


def test_a_link_and_a_fifo_in_a_folder_are_passed_over(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    for name, text in linux("6.12.107").items():
        tree.file(f"/srv/linux/{name}", text)
    tree.file("/secret", "x").link("/srv/linux/drivers/vfio/pci/acme/secret.c", "/secret")
    os.mkfifo(tree.place("/srv/linux/drivers/vfio/pci/acme/fifo.c"))
    assert set(read_tree(tree.host(), "/srv/linux").files) == WANTED


def test_more_than_a_kernel_has_is_refused(tmp_path: Path) -> None:
    many = {f"drivers/vfio/pci/acme/{number}.c": "" for number in range(driver_files.MOST_FILES)}
    with pytest.raises(HostError, match="has more in drivers/vfio/pci than a kernel's source"):
        read(tmp_path, archive({**linux("6.12.107"), **many}, kind="w"))


@pytest.mark.parametrize("content", [b"", b"no archive", b"\xfd7zXZ\0\0\0", archive(linux("6.12.107"))[:300]])
def test_what_is_not_an_archive_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(HostError, match=r"^/srv/linux\.tar "):
        read(tmp_path, content)

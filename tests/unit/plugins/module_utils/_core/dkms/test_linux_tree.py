# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of a kernel's source only what is wanted is read, whatever an archive has in it."""

from __future__ import annotations

import io
import os
import tarfile
import typing as t
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


def test_a_link_in_a_folder_counts_as_what_it_leads_to_inside_of_it(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    for name, text in linux("6.12.107").items():
        tree.file(f"/srv/linux/{name.replace('drivers/vfio/pci/acme/', 'vendor/acme/')}", text)
    tree.link("/srv/linux/drivers/vfio/pci/acme", "../../../vendor/acme")
    tree.file("/srv/linux/vendor/acme/Kconfig.real", tree.place("/srv/linux/vendor/acme/Kconfig").read_text())
    tree.place("/srv/linux/vendor/acme/Kconfig").unlink()
    tree.link("/srv/linux/vendor/acme/Kconfig", "/srv/linux/vendor/acme/Kconfig.real").link("/srv/given", "linux")
    found = read_tree(tree.host(), "/srv/given/")
    plain = read(tmp_path / "plain", archive(linux("6.12.107"))).files
    assert {name: found.files[name] for name in plain} == plain
    assert not found.left_out


LINKED = "drivers/vfio/pci/acme/other.c"
LEFT_OUT: dict[str, tuple[t.Callable[[Tree], object], dict[str, str]]] = {
    "a link out of the folder": (
        lambda tree: tree.file("/secret", "x").link(f"/srv/linux/{LINKED}", "/secret"),
        {LINKED: "is a link to /secret, which is not in that folder"},
    ),
    "a link out of the folder by another name": (
        lambda tree: tree.file("/srv/linux-2/x.c", "x").link(f"/srv/linux/{LINKED}", "../../../../../linux-2/x.c"),
        {LINKED: "is a link to /srv/linux-2/x.c, which is not in that folder"},
    ),
    "a link to nothing": (lambda tree: tree.link(f"/srv/linux/{LINKED}", "main.cc"), {LINKED: "is a link that leads to nothing"}),
    "a link to itself": (lambda tree: tree.link(f"/srv/linux/{LINKED}", "other.c"), {LINKED: "is a link that leads to nothing"}),
    "a folder elsewhere": (
        lambda tree: tree.file("/srv/beta/main.c", "x").link("/srv/linux/drivers/vfio/pci/beta", "/srv/beta"),
        {"drivers/vfio/pci/beta": "is a link to /srv/beta, which is not in that folder"},
    ),
    "a large file": (
        lambda tree: tree.file(f"/srv/linux/{LINKED}", b"x" * (driver_files.LARGEST_SOURCE + 1)),
        {LINKED: "has more than 4 MiB"},
    ),
    "a large file that nothing is built of": (
        lambda tree: tree.file("/srv/linux/drivers/vfio/pci/acme/acme.rst", b"x" * (driver_files.LARGEST_SOURCE + 1)),
        {},
    ),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_is_left_out_of_a_folder_is_known_with_the_reason(tmp_path: Path, case: str) -> None:
    tree = Tree(tmp_path)
    for name, text in linux("6.12.107").items():
        tree.file(f"/srv/linux/{name}", text)
    LEFT_OUT[case][0](tree)
    found = read_tree(tree.host(), "/srv/linux")
    assert (set(found.files), found.left_out) == (WANTED, LEFT_OUT[case][1])


def with_link(kind: bytes, name: str, target: str, files: t.Mapping[str, str] | None = None) -> bytes:
    """An archive with one link, whose target is said as tar says it: that of a hard link from the archive's root."""
    buffer = io.BytesIO(archive(linux("6.12.107") if files is None else files, kind="w"))
    with tarfile.open(fileobj=buffer, mode="a") as opened:
        member = tarfile.TarInfo(f"linux-source-6.12/{name}")
        member.type, member.linkname = kind, target
        opened.addfile(member)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "name", "target"),
    [
        (tarfile.LNKTYPE, LINKED, "linux-source-6.12/drivers/vfio/pci/acme/main.c"),
        (tarfile.SYMTYPE, LINKED, "main.c"),
        (tarfile.SYMTYPE, LINKED, "../acme/main.c"),
        (tarfile.SYMTYPE, "drivers/vfio/pci/beta", "acme"),
    ],
)
def test_a_link_in_an_archive_counts_as_what_was_read_of_its_target(tmp_path: Path, kind: bytes, name: str, target: str) -> None:
    found = read(tmp_path, with_link(kind, name, target))
    same = {LINKED: "main.c"} if name == LINKED else {f"{name}/{one}": one for one in ("Kconfig", "Makefile", "main.c")}
    assert set(found.files) == WANTED | same.keys()
    assert all(found.files[one] == found.files[f"drivers/vfio/pci/acme/{target}"] for one, target in same.items())
    assert not found.left_out


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.SYMTYPE])
@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../../Makefile", "linux-source-6.12/kernel/fork.c", "other.c"])
@pytest.mark.parametrize("name", [LINKED, "drivers/vfio/pci/beta"])
def test_any_other_link_in_an_archive_is_left_out_with_the_reason(tmp_path: Path, kind: bytes, target: str, name: str) -> None:
    found = read(tmp_path, with_link(kind, name, target))
    assert (set(found.files), found.left_out) == (WANTED, {name: "is a link that leads to no file of a driver in that archive"})
    assert LinuxTree.decoded(found.encoded()) == found


def test_a_large_file_in_an_archive_is_left_out_with_the_reason(tmp_path: Path) -> None:
    found = read(tmp_path, archive({**linux("6.12.107"), LINKED: "x" * (driver_files.LARGEST_SOURCE + 1)}, kind="w:gz"))
    assert (set(found.files), found.left_out) == (WANTED, {LINKED: "has more than 4 MiB"})


@pytest.mark.parametrize("name", ["main.o", "acme-vfio-pci.ko", "acme-vfio-pci.mod", "acme-vfio-pci.mod.c", ".main.o.cmd", ".main.o.d"])
@pytest.mark.parametrize("size", [1, driver_files.LARGEST_SOURCE + 1])
def test_what_a_build_has_left_in_a_tree_is_not_taken(tmp_path: Path, name: str, size: int) -> None:
    tree = Tree(tmp_path).file(f"/srv/linux/drivers/vfio/pci/acme/{name}", b"x" * size)
    for one, text in linux("6.12.107").items():
        tree.file(f"/srv/linux/{one}", text)
    found = read_tree(tree.host(), "/srv/linux")
    assert (set(found.files), found.left_out) == (WANTED, {})


def test_a_makefile_elsewhere_is_said_to_be_that(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/srv/other/Makefile", linux("6.12.107")["Makefile"]).link("/srv/linux/Makefile", "../other/Makefile")
    with pytest.raises(HostError, match=r"its Makefile is a link to /srv/other/Makefile, which is not in that folder\."):
        read_tree(tree.host(), "/srv/linux")


def test_more_than_a_kernel_has_is_refused(tmp_path: Path) -> None:
    many = {f"drivers/vfio/pci/acme/{number}.c": "" for number in range(driver_files.MOST_FILES)}
    with pytest.raises(HostError, match="has more in drivers/vfio/pci than a kernel's source"):
        read(tmp_path, archive({**linux("6.12.107"), **many}, kind="w"))


@pytest.mark.parametrize("name", ["drivers/vfio/pci/acme/{}.c", "drivers/vfio/pci/{}"])
def test_more_links_than_a_kernel_has_files_are_refused(tmp_path: Path, name: str) -> None:
    buffer = io.BytesIO(archive(linux("6.12.107"), kind="w"))
    with tarfile.open(fileobj=buffer, mode="a") as opened:
        for number in range(driver_files.MOST_FILES):
            member = tarfile.TarInfo(f"linux-source-6.12/{name.format(number)}")
            member.type, member.linkname = tarfile.SYMTYPE, "main.c"
            opened.addfile(member)
    with pytest.raises(HostError, match="has more in drivers/vfio/pci than a kernel's source"):
        read(tmp_path, buffer.getvalue())


@pytest.mark.parametrize("content", [b"", b"no archive", b"\xfd7zXZ\0\0\0", archive(linux("6.12.107"))[:300]])
def test_what_is_not_an_archive_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(HostError, match=r"^/srv/linux\.tar "):
        read(tmp_path, content)

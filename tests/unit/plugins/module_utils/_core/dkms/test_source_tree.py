# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A source package's files: one digest and one archive for the same files, wherever and whenever they lie."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.source_tree import (
    SourceFile,
    digest,
    pack,
    read_files,
    unpack,
    write_files,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit.trees import Tree


def package(root: Path, folder: str = "/pkg") -> Tree:
    return Tree(root).file(f"{folder}/dkms.conf", "X").file(f"{folder}/sub/probe.sh", "#!/bin/sh\n", 0o755).file(f"{folder}/a.c", b"\xff\0")


def read(tree: Tree, folder: str = "/pkg") -> tuple[SourceFile, ...]:
    return read_files(tree.host(), folder)


def test_the_digest_does_not_depend_on_place_time_or_order(tmp_path: Path) -> None:
    here, there = read(package(tmp_path / "1")), read(package(tmp_path / "2", "/usr/src/p-1"), "/usr/src/p-1/")
    os.utime(tmp_path / "1/pkg/a.c", (0, 0))
    assert digest(here) == digest(there) == digest(reversed(here))
    assert pack(here) == pack(reversed(there))


@pytest.mark.parametrize("change", ["content", "name", "executable bit", "another file", "missing file"])
def test_every_change_changes_the_digest(tmp_path: Path, change: str) -> None:
    tree = package(tmp_path)
    before = digest(read(tree))
    place = tree.place("/pkg/a.c")
    if change == "content":
        place.write_bytes(b"\xff\1")
    elif change == "name":
        place.rename(tree.place("/pkg/b.c"))
    elif change == "executable bit":
        place.chmod(0o744)
    elif change == "another file":
        tree.file("/pkg/empty")
    else:
        place.unlink()
    assert digest(read(tree)) != before


def test_bytes_cannot_move_between_name_and_content_unseen() -> None:
    assert digest([SourceFile("ab", False, b"c")]) != digest([SourceFile("a", False, b"bc")])


def test_what_version_control_keeps_does_not_belong_to_it(tmp_path: Path) -> None:
    before = digest(read(package(tmp_path)))
    assert digest(read(package(tmp_path).file("/pkg/.git/HEAD", "ref").file("/pkg/sub/__pycache__/x.pyc", "x"))) == before


def test_permissions_beyond_the_executable_bit_do_not_count(tmp_path: Path) -> None:
    tree = package(tmp_path)
    before = digest(read(tree))
    tree.place("/pkg/a.c").chmod(0o600)
    assert digest(read(tree)) == before


def test_a_link_to_a_file_counts_as_that_file(tmp_path: Path) -> None:
    plain = package(tmp_path / "1").file("/pkg/b.c", b"\xff\0")
    linked = package(tmp_path / "2").link("/pkg/b.c", "a.c")
    assert digest(read(plain)) == digest(read(linked))


@pytest.mark.parametrize("target", ["/nowhere", "sub"])
def test_a_link_to_nothing_or_to_a_folder_is_refused(tmp_path: Path, target: str) -> None:
    with pytest.raises(HostError, match=r"/pkg/link is not a file"):
        read(package(tmp_path).link("/pkg/link", target))


def test_the_archive_brings_every_file_back(tmp_path: Path) -> None:
    files = read(package(tmp_path))
    host = Tree(tmp_path).host()
    write_files(host, unpack(pack(files)), "/there")
    assert read_files(host, "/there") == files


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../up"])
def test_an_archive_that_leads_out_of_the_package_is_refused(name: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(HostError, match="not a file inside it"):
        unpack(buffer.getvalue())


def test_a_link_in_an_archive_is_refused() -> None:
    buffer, member = io.BytesIO(), tarfile.TarInfo("link")
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/shadow"
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(member)
    with pytest.raises(HostError, match="not a file inside it"):
        unpack(buffer.getvalue())


def test_a_damaged_archive_is_an_error_not_a_traceback() -> None:
    with pytest.raises(HostError, match="cannot be read"):
        unpack(b"junk" * 300)

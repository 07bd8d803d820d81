# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
from archive import Archive, compressed, padded
from configuration import COMPRESSIONS

from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image import Image


def read(folder: Path, content: bytes) -> Image:
    (folder / "initrd.img").write_bytes(content)
    return Image.read(Host(str(folder)), "/initrd.img", "6.12.1-amd64")


def test_an_archive_is_an_image_that_the_collection_reads(tmp_path: Path) -> None:
    archive = Archive()
    archive.file("/etc/modprobe.d/a.conf", "blacklist igb\n")
    image = read(tmp_path, archive.content())
    assert image.names == {"etc", "etc/modprobe.d", "etc/modprobe.d/a.conf"}
    assert image.text("/etc/modprobe.d/a.conf") == b"blacklist igb\n"


def test_what_was_below_lib_is_below_usr(tmp_path: Path) -> None:
    archive = Archive()
    archive.link("/lib", "usr/lib")
    archive.file("/lib/udev/rules.d/80-drivers.rules", "")
    image = read(tmp_path, archive.content())
    assert image.links == {"lib": "usr/lib"}
    assert "usr/lib/udev/rules.d/80-drivers.rules" in image.names


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_the_kernel_can_tell_each_compression_by_its_first_bytes(compression: str) -> None:
    first = {"none": b"070701", "gzip": b"\x1f\x8b", "xz": b"\xfd7zXZ", "zstd": b"\x28\xb5\x2f\xfd", "lz4": b"\x02\x21\x4c\x18"}
    assert compressed(Archive().content(), compression).startswith(first[compression])


def test_archives_that_follow_one_another_begin_where_the_kernel_looks() -> None:
    assert len(padded(b"x" * 513)) % 512 == 0

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An initramfs image as a tree of files: the readers of a host read it as they read the host."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image import Image
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image_view import ImageView, from_cache, to_cache
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules
from ansible_collections.vfio.variants.tests.unit.images import Folder, Link, archive
from ansible_collections.vfio.variants.tests.unit.initramfs_files import DISK_AND_NET, IMAGE, modules_of
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree, modalias

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.tests.unit.images import Entry

STOCK = modules_of(DEBIAN_13, DISK_AND_NET)


def view(tmp_path: Path, entries: t.Mapping[str, Entry]) -> ImageView:
    host = Tree(tmp_path).file(IMAGE, archive(entries)).host()
    return ImageView(Image.read(host, IMAGE, DEBIAN_13))


def test_a_kernels_modules_are_those_in_the_image(tmp_path: Path) -> None:
    kernel = Kernel.read(view(tmp_path, STOCK), DEBIAN_13)
    assert set(kernel.modules) == {"e1000e", "ext4"}
    assert [match.module for match in kernel.natives(modalias("8086:10d3", class_code=0x020000))] == ["e1000e"]


def test_directives_and_rules_say_that_they_stand_in_the_image(tmp_path: Path) -> None:
    tree = view(tmp_path, STOCK | {"etc/modprobe.d/site.conf": "# by hand\nblacklist nouveau\n"})
    assert str(ModprobeConfig.read(tree, cmdline=Cmdline(())).blacklisted("nouveau")[0]) == f"{IMAGE}:/etc/modprobe.d/site.conf:2"
    assert next(str(rule) for rule in Rules.read(tree).rules) == f"{IMAGE}:/usr/lib/udev/rules.d/80-drivers.rules:1"


def test_the_running_kernels_command_line_is_not_the_images(tmp_path: Path) -> None:
    tree = Tree(tmp_path).cmdline("modprobe.blacklist=e1000e").file(IMAGE, archive(STOCK))
    seen = ImageView(Image.read(tree.host(), IMAGE, DEBIAN_13))
    assert ModprobeConfig.read(seen).blacklisted("e1000e") == ()


def test_links_are_followed_as_the_booted_image_would(tmp_path: Path) -> None:
    tree = view(
        tmp_path, STOCK | {"etc/modprobe.d/a.conf": Link("/usr/lib/a"), "etc/modprobe.d/b.conf": Link("/dev/null"), "dev/null": b""}
    )
    assert tree.names("/lib/modules") == (DEBIAN_13,)
    assert tree.link("/lib") == "usr/lib"
    assert tree.link_name("/etc/modprobe.d/a.conf") == "a"
    assert not tree.is_file("/etc/modprobe.d/a.conf")
    assert not tree.is_file("/etc/modprobe.d/b.conf")


def test_an_empty_directory_is_not_a_file(tmp_path: Path) -> None:
    tree = view(tmp_path, STOCK | {"usr/lib/dracut/hooks/cleanup": Link("nowhere"), "usr/lib/dracut/hooks/pre-udev/10-site.sh": "true\n"})
    assert not tree.is_file("/lib/dracut/hooks/cleanup")
    assert tree.is_dir("/lib/dracut/hooks/pre-udev")
    assert tree.is_file("/lib/dracut/hooks/pre-udev/10-site.sh")


def test_an_empty_directory_of_the_archive_is_a_directory_in_each_copy_of_the_image(tmp_path: Path) -> None:
    held = STOCK | {"sysroot": Folder(), "usr/lib/modprobe.d": Folder(), "usr/bin/mount": b"\x7fELF", "run": Folder()}
    first = view(tmp_path, held).image
    for image in (first, from_cache(to_cache(first), first.path, first.release)):
        tree = ImageView(image)
        assert [tree.is_dir(path) for path in ("/sysroot", "/lib/modprobe.d", "/usr/bin", "/usr/bin/mount", "/etc")] == [True] * 3 + [
            False
        ] * 2
        assert not tree.is_file("/lib/modprobe.d")
    # A later image may have a file in the place of a directory.
    two = Tree(tmp_path).file("/boot/a", archive(held)).file("/boot/b", archive({"sysroot": b"\x7fELF"}))
    assert not ImageView(Image.read(two.host(), "/boot/a", DEBIAN_13, (), ("/boot/b",))).is_dir("/sysroot")


def test_what_is_in_the_image_without_being_kept_exists_and_cannot_be_read(tmp_path: Path) -> None:
    tree = view(tmp_path, STOCK | {"usr/lib/systemd/systemd": b"\x7fELF"})
    assert tree.exists("/lib/systemd/systemd")
    assert tree.text_or_none("/lib/systemd/systemd") is None
    with pytest.raises(HostError, match=re.escape(f"{IMAGE}:/lib/systemd/systemd cannot be read")):
        tree.read_text("/lib/systemd/systemd")

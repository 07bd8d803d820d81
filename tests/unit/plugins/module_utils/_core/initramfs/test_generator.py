# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image that is baked on another machine gets nothing of that machine into its initramfs."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.image_host import ImageHost
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.generator import DRACUT, INITRAMFS_TOOLS, MKINITCPIO, Generator
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

NEW, IMAGE = "/boot/new", f"/boot/initrd.img-{DEBIAN_13}"
SETTINGS = "/etc/initramfs-tools/initramfs.conf"
DEP = "/etc/initramfs-tools/conf.d/driver-policy"


def nothing_runs(*_arguments: t.Any, **_more: t.Any) -> tuple[int, str, str]:
    raise AssertionError


def host_of(tree: Tree, *, is_image: bool) -> Host:
    tree.directory("/etc").directory("/usr")
    return ImageHost(str(tree.root), nothing_runs) if is_image else tree.host()


@pytest.mark.parametrize("is_image", [False, True])
@pytest.mark.parametrize(
    ("generator", "argv", "more"),
    [
        (INITRAMFS_TOOLS, ["mkinitramfs", "-o", NEW, DEBIAN_13], []),
        (DRACUT, ["dracut", "--force", "--kver", DEBIAN_13, NEW], ["--no-hostonly", "--no-hostonly-cmdline"]),
        (MKINITCPIO, ["mkinitcpio", "-k", DEBIAN_13, "-g", NEW], ["-S", "autodetect"]),
    ],
)
def test_what_the_machine_needs_is_asked_for_only_where_it_is_the_one_that_boots(
    tmp_path: Path, generator: Generator, argv: list[str], more: list[str], is_image: bool
) -> None:
    host = host_of(Tree(tmp_path), is_image=is_image)
    assert generator.argv(host, DEBIAN_13, IMAGE, NEW) == [*argv, *(more if is_image else [])]


@pytest.mark.parametrize(
    ("files", "place"),
    [
        ({}, None),
        ({SETTINGS: "MODULES=most\n"}, None),
        ({SETTINGS: "# MODULES=dep\nMODULES=most\n"}, None),
        ({SETTINGS: "MODULES=dep\n"}, SETTINGS),
        ({SETTINGS: "MODULES=most\n", DEP: "MODULES=dep\n"}, DEP),
        ({SETTINGS: "MODULES=dep\n", DEP: "MODULES=most\n"}, None),
        ({"/usr/share/initramfs-tools/conf.d/a": "MODULES=dep\n", DEP: "COMPRESS=zstd\n"}, "/usr/share/initramfs-tools/conf.d/a"),
    ],
)
def test_what_mkinitramfs_takes_of_the_machine_is_refused(tmp_path: Path, files: dict[str, str], place: str | None) -> None:
    tree = Tree(tmp_path)
    for path, text in files.items():
        tree.file(path, text)
    INITRAMFS_TOOLS.refuse_own_machine(host_of(tree, is_image=False))
    image = host_of(tree, is_image=True)
    DRACUT.refuse_own_machine(image)
    if place is None:
        INITRAMFS_TOOLS.refuse_own_machine(image)
        return
    with pytest.raises(HostError, match=f"^{place}: with MODULES=dep mkinitramfs takes the drivers of the machine that it runs on"):
        INITRAMFS_TOOLS.refuse_own_machine(image)

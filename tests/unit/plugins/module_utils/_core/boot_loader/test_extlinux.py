# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which entry of extlinux and U-Boot boots, also if it is none that boots Linux.  (syslinux: doc/syslinux.txt, doc/menu.txt)"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import next_boot
from ansible_collections.vfio.variants.tests.unit.boot_menus import NEW, OLD, kernels
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path


def label(name: str, release: str, more: str = "") -> str:
    return f"label {name}\n  linux /boot/vmlinuz-{release}\n  initrd /boot/initrd.img-{release}\n  append ro\n{more}"


NEWER, OLDER = label("l0", NEW), label("l1", OLD)
DISK = "label hd\n  menu label another disk\n  localboot 0\n"
CHAIN = "label win\n  com32 chain.c32\n  append hd0 2\n"
BOOTS: dict[str, tuple[str | None, str]] = {
    "the default": (OLD, f"default l1\n{NEWER}{OLDER}"),
    "the first": (NEW, f"timeout 50\n{NEWER}{DISK}"),
    "the first of a menu": (NEW, f"default vesamenu.c32\n{NEWER}{OLDER}"),
    "that of a menu": (OLD, f"ui menu.c32\n{NEWER}{label('l1', OLD, '  menu default' + chr(10))}"),
    "another disk": (None, f"default hd\n{NEWER}{DISK}"),
    "another disk as the first": (None, f"timeout 50\n{DISK}{NEWER}"),
    "another disk as the first of a menu": (None, f"ui vesamenu.c32\n{DISK}{NEWER}"),
    "another disk as that of a menu": (None, f"default menu.c32\n{NEWER}{DISK}  menu default\n"),
    "another disk after a while": (None, f"default l0\nontimeout hd\n{NEWER}{DISK}"),
    "another system": (None, f"default win\n{NEWER}{CHAIN}"),
    "a program": (None, f"default win\n{NEWER}{CHAIN.replace('com32', 'kernel')}"),
    "another configuration": (None, f"default o\n{NEWER}label o\n  config /other.cfg\n"),
}


def read(root: Path, text: str) -> next_boot.NextBoot:
    tree = kernels(Tree(root), NEW, OLD).running(OLD)
    return next_boot.read(tree.file("/boot/extlinux/extlinux.conf", text).host())


@pytest.mark.parametrize("name", BOOTS)
def test_the_default_is_the_entry_that_comes_whatever_it_boots(tmp_path: Path, name: str) -> None:
    release, text = BOOTS[name]
    boot = read(tmp_path, text)
    assert boot.release == release
    assert bool(boot.doubts) == (release is None)


@pytest.mark.parametrize("wanted", ["linux", "l1 single"])
def test_a_default_that_names_no_entry_is_doubted(tmp_path: Path, wanted: str) -> None:
    boot = read(tmp_path, f"default {wanted}\n{NEWER}{OLDER}")
    assert any(f"the default is `{wanted}`, which is not an entry" in doubt for doubt in boot.doubts)

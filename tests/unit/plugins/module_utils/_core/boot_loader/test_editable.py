# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of a command line name the file that a person edits, beside the one that a program writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import next_boot
from ansible_collections.vfio.variants.tests.unit.boot_menus import NEW, bls_entry, debian_grub, efi_variable, kernels
from ansible_collections.vfio.variants.tests.unit.trees import Tree

GRUB_CFG = "/boot/grub/grub.cfg"


def source(tree: Tree) -> str:
    return next_boot.read(tree.host()).entries[NEW].cmdline_source


@pytest.fixture
def debian(tmp_path: Path) -> Tree:
    return kernels(Tree(tmp_path), NEW).file(GRUB_CFG, debian_grub([NEW], "intel_iommu=on vfio-pci.ids=10de:1db1 quiet"))


def test_an_entry_that_no_other_file_explains_stands_for_itself(debian: Tree) -> None:
    assert source(debian) == f"{GRUB_CFG}:42"
    assert source(debian.file("/etc/default/grub", 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX=""\n')) == f"{GRUB_CFG}:42"


def test_the_lines_with_words_of_the_entry_are_named(debian: Tree) -> None:
    debian.file(
        "/etc/default/grub", 'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX_DEFAULT="quiet vfio-pci.ids=10de:1db1"\nGRUB_CMDLINE_LINUX="debug"\n'
    )
    assert source(debian) == f"{GRUB_CFG}:42 (from /etc/default/grub:2)"
    debian.file("/etc/default/grub.d/iommu.cfg", "GRUB_CMDLINE_LINUX+=' intel_iommu=on'\n")
    assert source(debian) == f"{GRUB_CFG}:42 (from /etc/default/grub:2, /etc/default/grub.d/iommu.cfg:1)"


def test_a_line_that_is_a_comment_explains_nothing(debian: Tree) -> None:
    assert source(debian.file("/etc/default/grub", '#GRUB_CMDLINE_LINUX="intel_iommu=on"\n')) == f"{GRUB_CFG}:42"


def test_entries_of_kernel_install_come_from_its_own_file(tmp_path: Path) -> None:
    tree = efi_variable(Tree(tmp_path).running(NEW), "LoaderInfo", "systemd-boot 257")
    bls_entry(tree, f"0f22-{NEW}", NEW, "ro vfio-pci.ids=10de:1db1", "/efi")
    here = f"/efi/loader/entries/0f22-{NEW}.conf:3"
    assert source(tree) == here
    assert source(tree.file("/etc/kernel/cmdline", "ro vfio-pci.ids=10de:1db1\n")) == f"{here} (from /etc/kernel/cmdline:1)"

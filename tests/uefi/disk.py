# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk with an EFI system partition, made by dosfstools and mtools: neither root nor a loop device is needed."""

from __future__ import annotations

import dataclasses
import uuid
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image.gpt import SECTOR, Layout
from ansible_collections.vfio.variants.tests.uefi.materials import Materials

SIZE = 192 << 20
_SEED = uuid.UUID("5e5b5a0c-7a0b-4f0e-8d7c-1f6f3b7f2a10")
_SYSTEM_PARTITION = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")


def layout() -> Layout:
    """The usual table, with an EFI system partition in the root's place."""
    usual = Layout.of_size(SIZE, _SEED)
    return dataclasses.replace(usual, root=dataclasses.replace(usual.root, type=_SYSTEM_PARTITION, name="esp"))


def make(materials: Materials, folder: Path, disk: Path) -> None:
    """The files below `folder` on the partition of a new disk."""
    table = layout()
    partition = disk.with_suffix(".fat")
    with partition.open("wb") as file:
        file.truncate(table.root.sectors * SECTOR)
    materials.run("usr/sbin/mkfs.fat", "-F", "32", "-s", "1", "-n", "ESP", partition)
    for path in sorted(folder.iterdir()):
        materials.run("usr/bin/mcopy", "-s", "-Q", "-i", partition, path, "::", env={"MTOOLS_SKIP_CHECK": "1"})
    with disk.open("wb") as file, partition.open("rb") as content:
        file.write(table.head())
        file.seek(table.root.first * SECTOR)
        while block := content.read(1 << 20):
            if block.strip(b"\0"):
                file.write(block)
            else:
                file.seek(len(block), 1)
        tail = table.tail()
        file.truncate(table.total * SECTOR)
        file.seek(table.total * SECTOR - len(tail))
        file.write(tail)
    partition.unlink()

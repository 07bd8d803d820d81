# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A self-booting disk out of a root tree, written as a plain file: no loop device, nothing mounted."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image import grub
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image.gpt import SECTOR, Layout
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.program import require, run

_NAMESPACE = uuid.UUID("5b0f2f6c-6a3b-4d7e-9d52-0f4f3a1c7e11")


def write_disk(disk: Path, root: Path, size: int, seed: uuid.UUID, timeout: float) -> None:
    """Write a sparse disk of `size` bytes that boots what stands in the tree `root`, GRUB's files included."""
    layout = Layout.of_size(size, seed)
    with disk.open("xb") as handle:
        os.truncate(handle.fileno(), size)
    _make_file_system(disk, root, layout, seed, timeout)
    platform = root / "boot/grub" / grub.PLATFORM
    core = grub.core_image_at((platform / "core.img").read_bytes(), layout.bios_boot.first, layout.bios_boot.sectors)
    head = layout.head()
    boot = grub.mbr_with_boot_code((platform / "boot.img").read_bytes(), head[:SECTOR], layout.bios_boot.first)
    tail = layout.tail()
    with disk.open("r+b") as handle:
        handle.write(boot + head[SECTOR:])
        handle.seek(layout.bios_boot.first * SECTOR)
        handle.write(core)
        handle.seek(size - len(tail))
        handle.write(tail)
        os.fsync(handle.fileno())


def seed(key: str) -> uuid.UUID:
    """From which an image's identifiers (disk, partitions, file system) follow."""
    return uuid.uuid5(_NAMESPACE, key)


def file_system_uuid(seed: uuid.UUID) -> str:
    return str(uuid.uuid5(seed, "file system"))


def _make_file_system(disk: Path, root: Path, layout: Layout, seed: uuid.UUID, timeout: float) -> None:
    offset = layout.root.first * SECTOR
    # Features that the GRUB of an older suite cannot read are left out.
    features = "^metadata_csum_seed,^orphan_file"
    extended = f"offset={offset},root_owner=0:0,lazy_itable_init=0,assume_storage_prezeroed=1"
    identity = ("-L", "root", "-U", file_system_uuid(seed))
    blocks = f"{layout.root.sectors * SECTOR // 1024}k"
    mke2fs = require("mke2fs", "e2fsprogs")
    run((mke2fs, "-q", "-F", "-t", "ext4", "-O", features, "-E", extended, *identity, "-d", root, disk, blocks), timeout=timeout)

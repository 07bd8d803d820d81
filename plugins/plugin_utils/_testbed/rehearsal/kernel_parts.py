# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel and the initramfs as QEMU takes them, also out of a unified kernel image, which has both as parts of one program."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.kernel_image import sections

KERNEL, INITRAMFS = ".linux", ".initrd"
_PIECE = 1 << 20


def copy_kernel(image: Path, target: Path) -> None:
    with image.open("rb") as source, target.open("wb") as file:
        _copy(source, file, *_part(source, KERNEL))


def joined(images: t.Sequence[Path], target: Path) -> Path | None:
    """All initramfs images in one file, as a boot loader hands them over; None if there is none."""
    if not images:
        return None
    with target.open("wb") as file:
        for image in images:
            with image.open("rb") as source:
                _copy(source, file, *_part(source, INITRAMFS))
            # Each one begins at a multiple of four bytes.
            file.write(bytes(-file.tell() % 4))
    return target


def _part(file: t.BinaryIO, name: str) -> tuple[int, int | None]:
    """Offset and size of that part of a unified image; all of any other file: a kernel is a program, too, but with other parts."""
    places: dict[str, tuple[int, int]] = {}
    for section, offset, size in sections(file):
        places.setdefault(section, (offset, size))
    if KERNEL not in places:
        return 0, None
    return places.get(name, (0, 0))


def _copy(source: t.BinaryIO, target: t.BinaryIO, offset: int, size: int | None) -> None:
    source.seek(offset)
    left = size
    while left is None or left > 0:
        piece = source.read(_PIECE if left is None else min(_PIECE, left))
        if not piece:
            return
        target.write(piece)
        left = None if left is None else left - len(piece)

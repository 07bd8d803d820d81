# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on an image's EFI system partition: shim, and GRUB as Debian has signed it.

The partition is a folder beside the disk, which QEMU shows to the guest as a file system; so nobody has to make one.
"""

from __future__ import annotations

import typing as t
from pathlib import Path

FOLDER = "esp"
PACKAGES = ("grub-efi-amd64-signed", "shim-signed")
#: QEMU calls the file system so (block/vvfat.c).
FSTAB = "LABEL=QEMU\\040VVFAT /boot/efi vfat ro,nofail 0 0\n"
_FILES = {
    "EFI/BOOT/BOOTX64.EFI": "usr/lib/shim/shimx64.efi.signed",
    "EFI/BOOT/grubx64.efi": "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
}
#: Debian's signed GRUB looks for it here.
_CONFIGURATION = "EFI/debian/grub.cfg"


def lay_out(folder: Path, tree: Path, file_system: str) -> None:
    """The partition's files, from the packages in ``tree``; GRUB goes on with the configuration on the root of that UUID."""
    write(folder, tree, "".join(_lines(file_system)))


def write(folder: Path, tree: Path, configuration: str) -> None:
    """The loaders, from the packages in ``tree``, with GRUB's configuration."""
    contents = {path: (tree / source).read_bytes() for path, source in _FILES.items()}
    for path, content in {**contents, _CONFIGURATION: configuration.encode()}.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


def _lines(file_system: str) -> t.Iterator[str]:
    """As grub-install writes them."""
    yield f"search.fs_uuid {file_system} root\n"
    yield "set prefix=($root)'/boot/grub'\n"
    yield "configfile $prefix/grub.cfg\n"

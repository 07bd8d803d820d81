# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB for a BIOS boot partition, put in place without running grub-install.

grub-install wants the disk as a block device, hence a loop device or a boot of the guest.  What it does is little:
it copies the modules, and tells boot.img (first sector of the disk) and the first sector of core.img where core.img
lies.  The offsets are those of grub-core/boot/i386/pc/boot.S, diskboot.S and include/grub/i386/pc/boot.h.
"""

from __future__ import annotations

import re
import struct
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image.gpt import SECTOR

PLATFORM = "i386-pc"
#: What core.img must hold to reach /boot/grub on the second partition; everything else it loads from there.
CORE_MODULES = ("biosdisk", "part_gpt", "ext2", "normal")
PREFIX = "(,gpt2)/boot/grub"

_KERNEL_SECTOR = 0x5C
_BOOT_DRIVE = 0x64
_BOOT_DRIVE_OF_BIOS = 0xFF
_DRIVE_CHECK = 0x66
_TWO_NOPS = b"\x90\x90"
_BPB = slice(0x03, 0x5A)
_PARTITION_TABLE = slice(0x1B8, 0x200)
_BLOCK_LIST = SECTOR - 12
_SEGMENT_AFTER_FIRST_SECTOR = 0x800 + (SECTOR >> 4)


def mbr_with_boot_code(boot_code: bytes, mbr: bytes, core_sector: int) -> bytes:
    """The disk's first sector: boot.img's code, the MBR's own tables, and the sector at which core.img starts."""
    if len(boot_code) != SECTOR or len(mbr) != SECTOR:
        raise HostError(f"GRUB's boot.img must be {SECTOR} bytes long; it is {len(boot_code)}.")
    sector = bytearray(boot_code)
    sector[_BPB] = mbr[_BPB]
    sector[_PARTITION_TABLE] = mbr[_PARTITION_TABLE]
    struct.pack_into("<Q", sector, _KERNEL_SECTOR, core_sector)
    sector[_BOOT_DRIVE] = _BOOT_DRIVE_OF_BIOS
    sector[_DRIVE_CHECK : _DRIVE_CHECK + 2] = _TWO_NOPS
    return bytes(sector)


def core_image_at(core_image: bytes, core_sector: int, room: int) -> bytes:
    """core.img padded to whole sectors, its block list saying that the rest follows its first sector directly.

    `room` is the size of the BIOS boot partition in sectors.
    """
    sectors = -(-len(core_image) // SECTOR)
    if not 1 < sectors <= room:
        raise HostError(f"GRUB's core.img takes {sectors} sectors, but the BIOS boot partition has {room}.")
    image = bytearray(core_image.ljust(sectors * SECTOR, b"\0"))
    struct.pack_into("<QHH", image, _BLOCK_LIST, core_sector + 1, sectors - 1, _SEGMENT_AFTER_FIRST_SECTOR)
    return bytes(image)


def newest_first(releases: t.Iterable[str]) -> tuple[str, ...]:
    """Kernel releases in the order in which update-grub would list them."""

    def rank(release: str) -> tuple[tuple[int, int, str], ...]:
        return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.findall(r"\d+|\D+", release))

    return tuple(sorted(releases, key=rank, reverse=True))


def first_configuration(releases: t.Sequence[str], root_uuid: str, arguments: t.Sequence[str]) -> str:
    """The grub.cfg of the first boot; update-grub in the guest replaces it with one that boots the same."""
    lines = ["set timeout=0", f"search --no-floppy --fs-uuid --set=root {root_uuid}"]
    for release in releases:
        lines += [
            f"menuentry 'Debian GNU/Linux, with Linux {release}' --class debian {{",
            f"\tlinux /boot/vmlinuz-{release} root=UUID={root_uuid} ro {' '.join(arguments)}",
            f"\tinitrd /boot/initrd.img-{release}",
            "}",
        ]
    return "\n".join(lines) + "\n"

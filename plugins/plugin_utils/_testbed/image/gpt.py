# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A GUID partition table with room for GRUB: protective MBR, BIOS boot partition, one root partition."""

from __future__ import annotations

import struct
import uuid
import zlib
from dataclasses import dataclass

SECTOR = 512
_ENTRY_COUNT = 128
_ENTRY_BYTES = 128
_TABLE_SECTORS = _ENTRY_COUNT * _ENTRY_BYTES // SECTOR
_MIB_SECTORS = (1 << 20) // SECTOR
_TYPE_BIOS_BOOT = uuid.UUID("21686148-6449-6e6f-744e-656564454649")
_TYPE_LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")


@dataclass(frozen=True)
class Partition:
    type: uuid.UUID
    guid: uuid.UUID
    first: int
    last: int
    name: str

    @property
    def sectors(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class Layout:
    """Where everything lies on the disk; all positions in sectors of 512 bytes."""

    total: int
    disk_guid: uuid.UUID
    bios_boot: Partition
    root: Partition

    @classmethod
    def of_size(cls, size: int, seed: uuid.UUID) -> Layout:
        """A disk of `size` bytes: 1 MiB for GRUB, the rest but the last MiB for the root file system.

        Every identifier follows from `seed`, so that the same seed gives the same table.
        """
        total = size // SECTOR
        return cls(
            total=total,
            disk_guid=uuid.uuid5(seed, "disk"),
            bios_boot=Partition(_TYPE_BIOS_BOOT, uuid.uuid5(seed, "bios"), _MIB_SECTORS, 2 * _MIB_SECTORS - 1, "biosboot"),
            root=Partition(_TYPE_LINUX, uuid.uuid5(seed, "root"), 2 * _MIB_SECTORS, total - _MIB_SECTORS - 1, "root"),
        )

    def head(self) -> bytes:
        """The disk's first 34 sectors."""
        return self._protective_mbr() + self._header(this=1, other=self.total - 1, table=2) + self._table()

    def tail(self) -> bytes:
        """The disk's last 33 sectors: the second copy."""
        return self._table() + self._header(this=self.total - 1, other=1, table=self.total - 1 - _TABLE_SECTORS)

    def _protective_mbr(self) -> bytes:
        mbr = bytearray(SECTOR)
        struct.pack_into("<B3sB3sII", mbr, 446, 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, min(self.total - 1, 0xFFFFFFFF))
        mbr[510:] = b"\x55\xaa"
        return bytes(mbr)

    def _table(self) -> bytes:
        entries = b"".join(
            p.type.bytes_le + p.guid.bytes_le + struct.pack("<QQQ", p.first, p.last, 0) + p.name.encode("utf-16-le").ljust(72, b"\0")
            for p in (self.bios_boot, self.root)
        )
        return entries.ljust(_ENTRY_COUNT * _ENTRY_BYTES, b"\0")

    def _header(self, this: int, other: int, table: int) -> bytes:
        first_usable = 2 + _TABLE_SECTORS
        last_usable = self.total - 2 - _TABLE_SECTORS
        fields = (b"EFI PART", 0x10000, 92, 0, 0, this, other, first_usable, last_usable, self.disk_guid.bytes_le, table)
        header = struct.pack("<8sIIIIQQQQ16sQIII", *fields, _ENTRY_COUNT, _ENTRY_BYTES, zlib.crc32(self._table()))
        checksum = struct.pack("<I", zlib.crc32(header))
        return (header[:16] + checksum + header[20:]).ljust(SECTOR, b"\0")

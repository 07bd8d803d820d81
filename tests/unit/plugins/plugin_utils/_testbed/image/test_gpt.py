# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The partition table, read back as the UEFI specification lays it out."""

from __future__ import annotations

import struct
import uuid
import zlib

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image.gpt import SECTOR, Layout

SEED = uuid.UUID("00000000-0000-4000-8000-000000000001")
SIZE = 2 << 30


def header_of(sector: bytes) -> tuple[int, ...]:
    signature, revision, size, checksum, _zero, this, other, first, last, _disk, table, count, entry, table_checksum = struct.unpack_from(
        "<8sIIIIQQQQ16sQIII", sector
    )
    assert signature == b"EFI PART"
    assert revision == 0x10000
    blank = sector[:16] + bytes(4) + sector[20:size]
    assert zlib.crc32(blank) == checksum
    return this, other, first, last, table, count, entry, table_checksum


@pytest.mark.parametrize("size", [SIZE, 8 << 30, (2 << 30) + (1 << 20)])
def test_both_headers_describe_each_other_and_the_same_table(size: int) -> None:
    layout = Layout.of_size(size, SEED)
    head, tail = layout.head(), layout.tail()
    last_sector = size // SECTOR - 1
    this, other, first, last, table, count, entry, checksum = header_of(head[SECTOR : 2 * SECTOR])
    assert (this, other, table, count, entry) == (1, last_sector, 2, 128, 128)
    assert zlib.crc32(head[2 * SECTOR :]) == checksum
    assert header_of(tail[-SECTOR:]) == (last_sector, 1, first, last, last_sector - 32, 128, 128, checksum)
    assert tail[:-SECTOR] == head[2 * SECTOR :]


def test_partitions_lie_one_after_the_other_inside_the_usable_area() -> None:
    layout = Layout.of_size(SIZE, SEED)
    first, last = header_of(layout.head()[SECTOR : 2 * SECTOR])[2:4]
    assert first <= layout.bios_boot.first <= layout.bios_boot.last < layout.root.first <= layout.root.last <= last


def test_partitions_are_aligned_to_a_mebibyte() -> None:
    layout = Layout.of_size(SIZE, SEED)
    assert layout.bios_boot.first * SECTOR % (1 << 20) == 0
    assert layout.root.first * SECTOR % (1 << 20) == 0
    assert layout.root.sectors * SECTOR % (1 << 20) == 0


def test_the_mbr_protects_the_whole_disk() -> None:
    mbr = Layout.of_size(SIZE, SEED).head()[:SECTOR]
    assert mbr[510:] == b"\x55\xaa"
    assert mbr[450] == 0xEE
    assert struct.unpack_from("<II", mbr, 454) == (1, SIZE // SECTOR - 1)


def test_the_table_names_a_bios_boot_and_a_linux_partition() -> None:
    table = Layout.of_size(SIZE, SEED).head()[2 * SECTOR :]
    assert uuid.UUID(bytes_le=table[:16]) == uuid.UUID("21686148-6449-6e6f-744e-656564454649")
    assert uuid.UUID(bytes_le=table[128:144]) == uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
    assert table[184:256].decode("utf-16-le").rstrip("\0") == "root"
    assert not any(table[256:])


def test_the_same_seed_gives_the_same_table_and_another_seed_another() -> None:
    assert Layout.of_size(SIZE, SEED).head() == Layout.of_size(SIZE, SEED).head()
    assert Layout.of_size(SIZE, SEED).head() != Layout.of_size(SIZE, uuid.UUID(int=7)).head()

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VBIOS without content: the tables that nouveau insists on finding, all of them empty.

Structures: PCI Firmware Specification 3.0 chapter 5 (option ROM), and NVIDIA's published descriptions of the BIOS information table
and the device control block.
"""

from __future__ import annotations

import struct

IMAGE_SIZE = 0x2000
BLOCK = 512

OPTION_ROM = struct.Struct("<HBB")  # signature, size in blocks, entry point
OPTION_ROM_PCIR_POINTER = 0x18
PCIR = struct.Struct("<4sHHHHB3BHHBBH")
BIT_HEADER = struct.Struct("<H4sHBBBB")  # id, signature, version, size of header, size of entry, entries, checksum
BIT_ENTRY = struct.Struct("<cBHH")  # id, version, size of table, its place
DCB_HEADER = struct.Struct("<BBBBHI")  # version, size of header, entries, size of entry, connectors' place, signature
DCB_POINTER = 0x36

PCIR_AT, BIT_AT, DCB_AT, CONNECTORS_AT = 0x070, 0x100, 0x200, 0x240
INFO_AT, MEMORY_AT, INIT_AT, FALCON_AT, PERFORMANCE_AT = 0x180, 0x1C0, 0x280, 0x2A0, 0x300
FALCON_TABLE_AT, FALCON_APP_AT, RAMMAP_AT = 0x2B0, 0x2C0, 0x360

VBIOS_VERSION = 0x88000100  # 88.00.01.00: the generation that GV100 boards carry
DCB_SIGNATURE = 0x4EDCBDCB

# Tables of the BIOS information table in the order of their entries: id, version, size, place.
BIT_TABLES = (
    (b"i", 2, 0x20, INFO_AT),
    (b"M", 2, 0x00, MEMORY_AT),
    (b"I", 1, 0x20, INIT_AT),
    (b"p", 2, 0x04, FALCON_AT),
    (b"P", 2, 0x40, PERFORMANCE_AT),
)


def build_vbios(vendor: int, device: int) -> bytes:
    """An image of 8 KiB for the given identity; its bytes add up to a multiple of 256, as an option ROM's must."""
    image = bytearray(IMAGE_SIZE)
    _option_rom(image, vendor, device)
    _bios_information_table(image)
    _display_control_block(image)
    _falcon_applications(image)
    _memory_map(image)
    struct.pack_into("<I", image, INFO_AT, VBIOS_VERSION)
    image[-1] = -sum(image) & 0xFF
    return bytes(image)


def _option_rom(image: bytearray, vendor: int, device: int) -> None:
    blocks = len(image) // BLOCK
    OPTION_ROM.pack_into(image, 0, 0xAA55, blocks, 0xCB)  # the entry point is a far return
    struct.pack_into("<H", image, OPTION_ROM_PCIR_POINTER, PCIR_AT)
    display_class, last_image, code_type_x86 = (0x00, 0x02, 0x03), 0x80, 0x00
    PCIR.pack_into(image, PCIR_AT, b"PCIR", vendor, device, 0, PCIR.size, 0, *display_class, blocks, 1, code_type_x86, last_image, 0)


def _bios_information_table(image: bytearray) -> None:
    header = (0xB8FF, b"BIT\0", 0x0100, BIT_HEADER.size, BIT_ENTRY.size, len(BIT_TABLES))
    BIT_HEADER.pack_into(image, BIT_AT, *header, 0)
    image[BIT_AT + BIT_HEADER.size - 1] = -sum(image[BIT_AT : BIT_AT + BIT_HEADER.size]) & 0xFF
    for number, (name, version, size, place) in enumerate(BIT_TABLES):
        BIT_ENTRY.pack_into(image, BIT_AT + BIT_HEADER.size + number * BIT_ENTRY.size, name, version, size, place)


def _display_control_block(image: bytearray) -> None:
    """DCB 4.1 with no outputs, and a connector table with no ports: a board without a display."""
    struct.pack_into("<H", image, DCB_POINTER, DCB_AT)
    DCB_HEADER.pack_into(image, DCB_AT, 0x41, 0x1B, 0, 8, CONNECTORS_AT, DCB_SIGNATURE)
    image[CONNECTORS_AT : CONNECTORS_AT + 5] = bytes((0x41, 5, 0, 4, 0x66))


def _falcon_applications(image: bytearray) -> None:
    """One entry, devinit (type 4), which the driver looks up and, as devinit has run already, never starts."""
    struct.pack_into("<I", image, FALCON_AT, FALCON_TABLE_AT)
    image[FALCON_TABLE_AT : FALCON_TABLE_AT + 4] = bytes((1, 4, 6, 1))
    struct.pack_into("<BBI", image, FALCON_TABLE_AT + 4, 0x04, 0, FALCON_APP_AT)


def _memory_map(image: bytearray) -> None:
    """The performance table points to a memory map of version 1.1 with no entries."""
    struct.pack_into("<I", image, PERFORMANCE_AT + 4, RAMMAP_AT)
    image[RAMMAP_AT : RAMMAP_AT + 6] = bytes((0x11, 0x15, 4, 4, 0, 0))

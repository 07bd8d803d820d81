# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ACPI's machine language as a reader of ACPI's specification takes it apart."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.tests.drivers import acpi_table

# daffd814-6eba-4d8c-8a91-bc9bbf4aa301, as ToUUID puts it into a buffer (ACPI 6.5, 19.6.142).
DEVICE_PROPERTIES = bytes.fromhex("14d8ffdaba6e8c4d8a91bc9bbf4aa301")


def unpacked(code: bytes) -> tuple[bytes, bytes]:
    """What a package length in front of it says belongs to a term, and what follows (ACPI 6.5, 20.2.4)."""
    further = code[0] >> 6
    length = code[0] & 0x3F if not further else (code[0] & 0xF) | int.from_bytes(code[1 : 1 + further], "little") << 4
    return code[1 + further : length], code[length:]


def test_a_table_gives_properties_to_the_function_behind_the_port_by_its_name() -> None:
    code = acpi_table.properties_behind_port(0x13, {"a,size": 0x1_0000_0000})
    assert code[0] == 0x10
    scope, rest = unpacked(code[1:])
    assert (rest, scope[:24]) == (b"", b"\\\x2f\x04_SB_PCI0S98_S00_\x08_DSD"[:24])
    assert scope[24] == 0x12
    described, rest = unpacked(scope[25:])
    assert (rest, described[0]) == (b"", 2)
    uuid, properties = unpacked(described[2:])
    assert uuid == b"\x0e" + (16).to_bytes(8, "little") + DEVICE_PROPERTIES
    assert properties.endswith(b"\x12\x13\x02\x0da,size\0\x0e" + (0x1_0000_0000).to_bytes(8, "little"))


@pytest.mark.parametrize("size", [0, 62, 63, 64, 4093, 4094, 5000, 70000])
def test_a_length_counts_itself_whatever_it_is(size: int) -> None:
    body = bytes(size)
    assert unpacked(acpi_table._sized(body) + b"next") == (body, b"next")


def test_a_table_of_an_initramfs_has_a_header_with_its_length_and_adds_up_to_zero() -> None:
    body = acpi_table.properties_behind_port(0x13, {"a,size": 1})
    table = acpi_table.in_initramfs(body)
    assert (table[:4], int.from_bytes(table[4:8], "little"), table[8]) == (b"SSDT", len(table), 2)
    assert (len(table) - len(body), table[36:], sum(table) & 0xFF) == (36, body, 0)

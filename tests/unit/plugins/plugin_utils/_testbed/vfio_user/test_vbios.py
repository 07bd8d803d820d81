# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The synthetic VBIOS has the structures that a reader of such images looks for, each where the one before it says."""

from __future__ import annotations

import struct

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user.vbios import build_vbios

IMAGE = build_vbios(0x10DE, 0x1DB5)


def word(at: int) -> int:
    return int(struct.unpack_from("<H", IMAGE, at)[0])


def tables() -> dict[str, int]:
    at = IMAGE.index(b"\xff\xb8BIT\0")
    header, entry, count = IMAGE[at + 8], IMAGE[at + 9], IMAGE[at + 10]
    starts = [at + header + number * entry for number in range(count)]
    return {chr(IMAGE[start]): word(start + 4) for start in starts}


def test_it_is_an_option_rom_of_its_own_length():
    assert word(0) == 0xAA55
    assert IMAGE[2] * 512 == len(IMAGE)


@pytest.mark.parametrize("device", [0x1DB1, 0x1DB5, 0x1DB8, 0x1DF5])
def test_its_bytes_add_up_to_nothing(device):
    assert sum(build_vbios(0x10DE, device)) % 256 == 0


def test_it_names_the_function_that_it_belongs_to():
    at = word(0x18)
    assert IMAGE[at : at + 4] == b"PCIR"
    assert (word(at + 4), word(at + 6)) == (0x10DE, 0x1DB5)
    assert word(at + 10) == 24
    assert IMAGE[at + 21] == 0x80, "it is the last image"


def test_the_header_of_the_information_table_adds_up_to_nothing():
    at = IMAGE.index(b"\xff\xb8BIT\0")
    assert sum(IMAGE[at : at + IMAGE[at + 8]]) % 256 == 0


def test_the_information_table_has_what_nouveau_looks_up():
    assert set(tables()) == set("iMIpP")
    assert all(0 < place < len(IMAGE) for place in tables().values())


def test_the_display_control_block_has_its_signature_and_no_outputs():
    at = word(0x36)
    assert struct.unpack_from("<I", IMAGE, at + 6)[0] == 0x4EDCBDCB
    assert IMAGE[at + 2] == 0


def test_the_application_table_names_devinit():
    at = struct.unpack_from("<I", IMAGE, tables()["p"])[0]
    assert tuple(IMAGE[at : at + 5]) == (1, 4, 6, 1, 4)

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the header of a kernel's image says of its version, so that a file by any name is known for what it is."""

from __future__ import annotations

import struct

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.image_header import version

SAID = b"6.12.38+deb13-amd64 (debian-kernel@lists.debian.org) #1 SMP"


def image(text: bytes, offset: int = 0x3000, magic: bytes = b"HdrS") -> bytes:
    start = bytearray(0x4000)
    start[0x202:0x206] = magic
    struct.pack_into("<H", start, 0x20E, offset)
    start[offset + 0x200 : offset + 0x200 + len(text)] = text
    return bytes(start)


def test_the_version_is_read_up_to_its_end() -> None:
    assert version(image(SAID + b"\0code that follows")) == SAID.decode()


@pytest.mark.parametrize("start", [b"", image(SAID, magic=b"MZ.."), image(SAID, offset=0), image(b"")])
def test_an_image_that_does_not_say_has_none(start: bytes) -> None:
    assert version(start) is None


def test_a_text_without_an_end_is_cut() -> None:
    assert version(image(b"x" * 4000, 0x400)) == "x" * 256

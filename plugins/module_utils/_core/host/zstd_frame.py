# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a frame of zstd ends (RFC 8878, 3.1.1), which can be told without unpacking it."""

from __future__ import annotations

import io
import typing as t

_MAGIC = 4
_SIZES_OF_CONTENT = (0, 2, 4, 8)
_SIZES_OF_DICTIONARY = (0, 1, 2, 4)
_SINGLE_SEGMENT, _CHECKSUM = 0x20, 0x04
_REPEATED_BYTE = 1
_LENGTH_OF_CHECKSUM = 4


def length(file: t.BinaryIO) -> int | None:
    """The bytes of the frame that begins at the file's position, which stays; None if the file ends before the frame does."""
    start = file.tell()
    found = _end(file, start)
    end = file.seek(0, io.SEEK_END)
    file.seek(start)
    return None if found is None or found > end else found - start


def _end(file: t.BinaryIO, start: int) -> int | None:
    file.seek(start + _MAGIC)
    descriptor = file.read(1)
    if not descriptor:
        return None
    flags = descriptor[0]
    single = bool(flags & _SINGLE_SEGMENT)
    window, content = (0, _SIZES_OF_CONTENT[flags >> 6] or 1) if single else (1, _SIZES_OF_CONTENT[flags >> 6])
    position = start + _MAGIC + 1 + window + _SIZES_OF_DICTIONARY[flags & 3] + content
    while True:
        file.seek(position)
        header = file.read(3)
        if len(header) < 3:
            return None
        value = int.from_bytes(header, "little")
        position += 3 + (1 if value >> 1 & 3 == _REPEATED_BYTE else value >> 3)
        if value & 1:
            return position + (_LENGTH_OF_CHECKSUM if flags & _CHECKSUM else 0)

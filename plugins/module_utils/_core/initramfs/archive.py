# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cpio archives of an initramfs.  (Documentation/driver-api/early-userspace/buffer-format.rst)"""

from __future__ import annotations

import binascii
import re
import stat as stat_bits
import struct
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import CorruptFileError

MAGICS = (b"070701", b"070702")
TRAILER = b"TRAILER!!!"
HEADER_SIZE = 110
# PATH_MAX
LONGEST_NAME = 4096
PADDING_STEP = 1 << 20
HEADER = re.compile(rb"07070[12][0-9A-Fa-f]{104}")
"""Every field is eight hexadecimal digits: no sign, no blank, no prefix, as parse_header() in init/initramfs.c reads it."""
FIELDS = struct.Struct(">13I")
"""Their values: inode, mode, owner, group, links, time, size, the device's numbers, those of a device node, the name's size, a sum."""


class Reader(t.Protocol):
    """A stream that is read once, sequentially."""

    position: int

    def read(self, size: int) -> bytes: ...

    def peek(self, size: int) -> bytes: ...

    def skip(self, size: int) -> None: ...


class ArchiveMember(t.NamedTuple):
    """An entry of an archive; the reader's next ``size`` bytes are its content."""

    name: str
    mode: int
    links: int
    inode: tuple[int, int, int]
    size: int

    @property
    def is_file(self) -> bool:
        return stat_bits.S_ISREG(self.mode)

    @property
    def is_link(self) -> bool:
        return stat_bits.S_ISLNK(self.mode)

    @property
    def is_folder(self) -> bool:
        return stat_bits.S_ISDIR(self.mode)


def members(reader: Reader) -> t.Iterator[ArchiveMember]:
    """Each entry of the archive that begins at the reader's position; what the caller does not read of its content is skipped.

    Raises CorruptFileError if the archive is corrupt.
    """
    start = reader.position
    while True:
        header = reader.read(HEADER_SIZE)
        if not HEADER.fullmatch(header):
            raise CorruptFileError(f"the archive is corrupt at byte {reader.position - len(header)}")
        number, mode, _owner, _group, links, _time, size, major, minor, _node, _of_node, name_size, _sum = _fields(header)
        if not 0 < name_size <= LONGEST_NAME:
            raise CorruptFileError(f"the archive is corrupt at byte {reader.position}: a name of {name_size} bytes")
        name = reader.read(name_size)[:-1]
        _align(reader, start)
        if name == TRAILER:
            return
        end = reader.position + size
        yield ArchiveMember(_plain(name), mode, links, (number, major, minor), size)
        if reader.position != end:
            reader.skip(end - reader.position)
        _align(reader, start)


def _fields(header: bytes) -> tuple[int, ...]:
    return FIELDS.unpack(binascii.unhexlify(header[len(MAGICS[0]) :]))


def _align(reader: Reader, start: int) -> None:
    missing = -(reader.position - start) % 4
    if missing:
        reader.skip(missing)


def _plain(name: bytes) -> str:
    text = name.decode("utf-8", "surrogateescape")
    while text.startswith(("./", "/")):
        text = text[2:] if text.startswith("./") else text[1:]
    return text


def skip_padding(reader: Reader) -> None:
    while ahead := reader.peek(PADDING_STEP):
        rest = ahead.lstrip(b"\0")
        reader.skip(len(ahead) - len(rest))
        if rest:
            return

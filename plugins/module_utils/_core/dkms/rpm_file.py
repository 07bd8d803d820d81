# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of RPM: what one says of itself, and the files in it.  (docs/manual/format_v4.md of rpm)

A package is a lead, a header with signatures, a header with what is known of it, and a cpio archive that is compressed as a whole.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import struct
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.driver_files import LARGEST_ARCHIVE
from ansible_collections.vfio.variants.plugins.module_utils._core.host.compression import unpacked_if_packed
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import CorruptFileError, HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.archive import members

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.compression import FileReader, Unpacker
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

MAGIC = b"\xed\xab\xee\xdb"
NAME = ".src.rpm"
"""How the names of packages of sources end."""
_LEAD_SIZE = 96
_HEADER = b"\x8e\xad\xe8\x01"
_INTRO, _ENTRY = struct.Struct(">4s4xII"), struct.Struct(">IIII")
_STRING = 6
_NAME, _VERSION, _RELEASE, _SOURCE_RPM = 1000, 1001, 1002, 1044
MOST_ENTRIES = 0x10000
"""Of a header (``hdrchkTags`` in lib/header_internal.hh)."""
LARGEST_HEADER = 32 << 20
"""Bytes; rpm allows 256 MiB. That of a kernel's package of sources has less than one."""


@dataclasses.dataclass(frozen=True)
class RpmFile:
    """``start``: the byte at which the archive of its files begins."""

    name: str
    version: str
    release: str
    has_sources: bool
    start: int

    @property
    def full_name(self) -> str:
        return f"{self.name}-{self.version}-{self.release}"


class RpmContent:
    """The content of a file in a package, as a stream, in which the last bytes that were read can be put back."""

    def __init__(self, reader: FileReader | Unpacker, size: int) -> None:
        self._reader = reader
        self._left = size
        self._last = self._ahead = b""

    def read(self, size: int = -1) -> bytes:
        wanted = self._left + len(self._ahead) if size < 0 else size
        self._last, self._ahead = self._ahead[:wanted], self._ahead[wanted:]
        fresh = self._reader.read(min(wanted - len(self._last), self._left))
        self._left -= len(fresh)
        self._last += fresh
        return self._last

    def seek(self, offset: int, whence: int = io.SEEK_CUR) -> None:
        """Back, by no more than was read last."""
        if whence != io.SEEK_CUR or not -len(self._last) <= offset <= 0:
            raise CorruptFileError("one of its files ends in the middle of a compressed stream")
        kept = len(self._last) + offset
        self._last, self._ahead = self._last[:kept], self._last[kept:] + self._ahead


def read_rpm(host: Host, path: str) -> RpmFile:
    """What a package says of itself.  Raises HostError if it is none, or damaged."""
    try:
        with host.open(path) as file:
            if not file.read(_LEAD_SIZE).startswith(MAGIC):
                raise CorruptFileError("it does not begin as a package of RPM")
            signatures = _read_header(file)[1]
            # The second header begins at a multiple of eight bytes.
            file.seek(-signatures % 8, io.SEEK_CUR)
            texts, _size = _read_header(file)
            start = file.tell()
    except (CorruptFileError, OSError) as error:
        raise HostError(f"{path} cannot be read: {error}.", "Download it again.") from error
    if not {_NAME, _VERSION, _RELEASE} <= texts.keys():
        raise HostError(f"{path} cannot be read: it has no name, version and release.", "Download it again.")
    return RpmFile(texts[_NAME], texts[_VERSION], texts[_RELEASE], _SOURCE_RPM not in texts, start)


def _read_header(file: t.BinaryIO) -> tuple[dict[int, str], int]:
    """Its texts by their tags, and how many bytes its entries and their data have."""
    intro = file.read(_INTRO.size)
    magic, count, size = _INTRO.unpack(intro) if len(intro) == _INTRO.size else (b"", 0, 0)
    if magic != _HEADER or count > MOST_ENTRIES or size > LARGEST_HEADER:
        raise CorruptFileError("one of its headers is damaged")
    entries, data = file.read(count * _ENTRY.size), file.read(size)
    if len(data) != size or len(entries) != count * _ENTRY.size:
        raise CorruptFileError("it ends in the middle of a header")
    found = {}
    for tag, form, offset, _number in _ENTRY.iter_unpack(entries):
        if form == _STRING and offset < size:
            found[tag] = data[offset : data.find(b"\0", offset)].decode("utf-8", "replace")
    return found, len(entries) + size


@contextlib.contextmanager
def files_of(host: Host, path: str, package: RpmFile) -> t.Iterator[t.Iterator[tuple[str, RpmContent]]]:
    """The files in a package, by their names, to be read one after the other.

    Raises CorruptFileError or OSError if it is damaged, HostError if the host lacks the program that unpacks it.
    """
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(host.open(path))
        file.seek(package.start)
        yield _files(stack.enter_context(unpacked_if_packed(host, file, LARGEST_ARCHIVE)))


def _files(reader: FileReader | Unpacker) -> t.Iterator[tuple[str, RpmContent]]:
    for member in members(reader):
        if member.is_file:
            yield member.name, RpmContent(reader, member.size)

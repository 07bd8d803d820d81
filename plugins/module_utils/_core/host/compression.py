# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compressed streams in initramfs images and module files, recognised by their first bytes as the kernel does (lib/decompress.c)."""

from __future__ import annotations

import bz2
import contextlib
import io
import lzma
import os
import shutil
import typing as t
import zlib

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import CorruptFileError, HostError

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

CHUNK = 1 << 18
LONGEST_MAGIC = 6
COMMAND_TIMEOUT = 300
NOT_FOUND = 127

MAGICS: t.Mapping[bytes, str] = {
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ\0": "xz",
    b"BZh": "bzip2",
    b"\x5d\0\0": "lzma",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x02\x21\x4c\x18": "lz4",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x89LZO": "lzop",
}


class Decompressor(t.Protocol):
    """The common interface of the decompressors of zlib, lzma and bz2."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


LIBRARY: t.Mapping[str, t.Callable[[], Decompressor]] = {
    "gzip": lambda: zlib.decompressobj(16 + zlib.MAX_WBITS),
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ),
    "lzma": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE),
    "bzip2": bz2.BZ2Decompressor,
}
COMMANDS: t.Mapping[str, t.Callable[[str, str], list[str]]] = {
    "zstd": lambda packed, plain: ["zstd", "--decompress", "--quiet", "--force", "-o", plain, packed],
    "lz4": lambda packed, plain: ["lz4", "-d", "-q", "-f", packed, plain],
    "lzop": lambda packed, plain: ["lzop", "-d", "-q", "-f", "-o", plain, packed],
}


def kind(start: bytes) -> str | None:
    """The compression of a stream that begins with these bytes; None if the kernel knows none."""
    return next((name for magic, name in MAGICS.items() if start.startswith(magic)), None)


class FileReader:
    """Reads a plain file from its current position."""

    def __init__(self, file: t.BinaryIO) -> None:
        self._file = file
        self.position = 0

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.position += len(data)
        return data

    def peek(self, size: int) -> bytes:
        data = self._file.read(size)
        self._file.seek(-len(data), io.SEEK_CUR)
        return data

    def skip(self, size: int) -> None:
        self._file.seek(size, io.SEEK_CUR)
        self.position += size


class Unpacker:
    """Reads a compressed stream, unpacking it in pieces with a module of the standard library."""

    def __init__(self, file: t.BinaryIO, decompressor: Decompressor) -> None:
        self._file = file
        self._decompressor = decompressor
        self._ready = b""
        self._used = 0
        self.position = 0

    def read(self, size: int) -> bytes:
        self._fill(size)
        data = self._ready[self._used : self._used + size]
        self._used += len(data)
        self.position += len(data)
        return data

    def peek(self, size: int) -> bytes:
        self._fill(size)
        return self._ready[self._used : self._used + size]

    def skip(self, size: int) -> None:
        while size > 0:
            passed = len(self.read(min(size, CHUNK)))
            if passed == 0:
                raise CorruptFileError("it ends in the middle of an archive")
            size -= passed

    def finish(self) -> None:
        """Read to the end of the stream; the file's position is then the first byte after it."""
        while not self._decompressor.eof:
            self._used = len(self._ready)
            self._fill(1)
        self._file.seek(-len(self._decompressor.unused_data), io.SEEK_CUR)

    def _fill(self, size: int) -> None:
        if len(self._ready) - self._used >= size:
            return
        pieces = [self._ready[self._used :]]
        missing = size - len(pieces[0])
        while missing > 0 and not self._decompressor.eof:
            pieces.append(self._more())
            missing -= len(pieces[-1])
        self._ready, self._used = b"".join(pieces), 0

    def _more(self) -> bytes:
        packed = self._file.read(CHUNK)
        if not packed:
            raise CorruptFileError("it ends in the middle of a compressed stream")
        try:
            return self._decompressor.decompress(packed)
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
            raise CorruptFileError(f"its compressed stream is corrupt ({error})") from error


@contextlib.contextmanager
def unpacked(host: Host, file: t.BinaryIO) -> t.Iterator[FileReader | Unpacker]:
    """A reader of the compressed stream that begins at the file's position; afterwards the position is just behind the stream.

    The standard library has no zstd, LZ4 or LZO: their commands unpack these, and get the whole rest of the file.
    Raises CorruptFileError if the stream is corrupt, HostError if the command is missing.
    """
    start = file.read(LONGEST_MAGIC)
    file.seek(-len(start), io.SEEK_CUR)
    found = kind(start)
    if found is None:
        raise CorruptFileError(f"it contains bytes that start neither an archive nor a compressed stream ({start.hex(' ')})")
    if found in LIBRARY:
        stream = Unpacker(file, LIBRARY[found]())
        yield stream
        stream.finish()
        return
    with host.scratch_directory() as directory:
        plain = _unpack_by_command(host, found, file, directory)
        with open(plain, "rb") as content:
            yield FileReader(content)


def unpacked_bytes(host: Host, data: bytes) -> bytes:
    """The data, decompressed if it is compressed.  Raises as `unpacked()` does."""
    if kind(data[:LONGEST_MAGIC]) is None:
        return data
    with unpacked(host, io.BytesIO(data)) as reader:
        pieces = []
        while piece := reader.read(CHUNK):
            pieces.append(piece)
    return b"".join(pieces)


def _unpack_by_command(host: Host, name: str, file: t.BinaryIO, directory: str) -> str:
    packed, plain = os.path.join(directory, "packed"), os.path.join(directory, "plain")
    with open(packed, "wb") as copy:
        shutil.copyfileobj(file, copy, CHUNK)
    done = host.run(COMMANDS[name](packed, plain), timeout=COMMAND_TIMEOUT, ok=range(256))
    if done.rc == NOT_FOUND:
        raise HostError(f"The command {name} is needed to unpack {name} data and is not installed.", f"Install the package {name}.")
    if done.rc != 0:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.rc}"]
        raise CorruptFileError(f"{name} cannot unpack it ({last[0].replace(packed, 'the stream')})")
    os.unlink(packed)
    return plain

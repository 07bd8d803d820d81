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

from ansible_collections.vfio.variants.plugins.module_utils._core.host import zstd_frame
from ansible_collections.vfio.variants.plugins.module_utils._core.host.command import ANY_CODE, TIMED_OUT, WROTE_TOO_MUCH
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import CorruptFileError, HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_part import FilePart
from ansible_collections.vfio.variants.plugins.module_utils._core.host.read_log import paused
from ansible_collections.vfio.variants.plugins.module_utils._core.host.regular_file import LARGEST_FILE

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

CHUNK = 1 << 18
LARGEST_STREAM = 2 << 30
"""Bytes that a compressed stream may unpack to: an initramfs with every driver and all firmware has a quarter of that."""
LARGEST_DICTIONARY = 160 << 20
"""Bytes of memory for a stream's dictionary."""
LARGEST_PACKED = 64 << 20
"""Bytes of a compressed module, which is in memory beside what it unpacks to."""
TOO_LARGE = "it unpacks to more than {} MiB"
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
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, size: int, /) -> bytes: ...


class _Gzip:
    """zlib's decompressor with the interface of the others: what it has not used yet stays with it."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._is_full = False

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        # It may hold back what did not fit, even with all input consumed.
        return not self._zlib.unconsumed_tail and not self._is_full

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, size: int, /) -> bytes:
        found = self._zlib.decompress(self._zlib.unconsumed_tail + data, size)
        self._is_full = len(found) == size
        return found


LIBRARY: t.Mapping[str, t.Callable[[], Decompressor]] = {
    "gzip": _Gzip,
    # A dictionary can be 4 GiB large; `xz -9` uses 64 MiB.
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, LARGEST_DICTIONARY),
    "lzma": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, LARGEST_DICTIONARY),
    "bzip2": bz2.BZ2Decompressor,
}
COMMANDS: t.Mapping[str, t.Callable[[str, str], list[str]]] = {
    # Memory for the window, which a stream can ask to be gigabytes; the kernel's own limit is 128 MiB (lib/decompress_unzstd.c).
    "zstd": lambda packed, plain: ["zstd", "--decompress", "--quiet", "--force", "--memory=128MB", "-o", plain, packed],
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

    def __init__(self, file: t.BinaryIO, decompressor: Decompressor, most: int = LARGEST_STREAM) -> None:
        self._file = file
        self._decompressor = decompressor
        self._most = most
        self._left = most
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
        packed = self._file.read(CHUNK) if self._decompressor.needs_input else b""
        if not packed and self._decompressor.needs_input:
            raise CorruptFileError("it ends in the middle of a compressed stream")
        try:
            piece = self._decompressor.decompress(packed, CHUNK)
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, MemoryError) as error:
            raise CorruptFileError(f"its compressed stream is corrupt ({error})") from error
        self._left -= len(piece)
        if self._left < 0:
            raise CorruptFileError(TOO_LARGE.format(self._most >> 20))
        return piece


@contextlib.contextmanager
def unpacked(host: Host, file: t.BinaryIO, most: int = LARGEST_STREAM, is_whole: bool = True) -> t.Iterator[FileReader | Unpacker]:
    """A reader of the compressed stream that begins at the file's position; afterwards the position is just behind the stream.

    The standard library has no zstd, LZ4 or LZO: their commands unpack these, and get the whole rest of the file; of zstd, where
    ``is_whole`` is not set, one frame, as the kernel takes it for a stream (lib/decompress_unzstd.c).
    Raises CorruptFileError if the stream is corrupt or has more than ``most`` bytes, HostError if the command is missing.
    """
    start = FileReader(file).peek(LONGEST_MAGIC)
    found = kind(start)
    if found is None:
        raise CorruptFileError(f"it contains bytes that start neither an archive nor a compressed stream ({start.hex(' ')})")
    if found in LIBRARY:
        unpacker = Unpacker(file, LIBRARY[found](), most)
        yield unpacker
        unpacker.finish()
        return
    with host.scratch_directory() as directory:
        size = zstd_frame.length(file) if found == "zstd" and not is_whole else None
        stream = file if size is None else t.cast("t.BinaryIO", FilePart(file, file.tell(), size))
        plain = _unpack_by_command(host, found, stream, directory, most)
        with open(plain, "rb") as content:
            yield FileReader(content)


@contextlib.contextmanager
def unpacked_if_packed(host: Host, file: t.BinaryIO, most: int) -> t.Iterator[FileReader | Unpacker]:
    """A reader of what begins at the file's position, unpacked if it is compressed.  Raises as `unpacked()` does."""
    reader = FileReader(file)
    with contextlib.ExitStack() as stack:
        yield reader if kind(reader.peek(LONGEST_MAGIC)) is None else stack.enter_context(unpacked(host, file, most))


def unpacked_bytes(host: Host, data: bytes) -> bytes:
    """The data, decompressed if it is compressed.

    Raises as `unpacked()` does, also for more than `LARGEST_PACKED` bytes that unpack to more than `LARGEST_FILE`.
    """
    if kind(data[:LONGEST_MAGIC]) is None:
        return data
    if len(data) > LARGEST_PACKED:
        raise CorruptFileError(f"it has more than {LARGEST_PACKED >> 20} MiB and is compressed")
    whole = io.BytesIO()
    with unpacked(host, io.BytesIO(data), LARGEST_FILE) as reader:
        while piece := reader.read(CHUNK):
            whole.write(piece)
    return whole.getvalue()


def _unpack_by_command(host: Host, name: str, file: t.BinaryIO, directory: str, most: int) -> str:
    packed, plain = os.path.join(directory, "packed"), os.path.join(directory, "plain")
    with open(packed, "wb") as copy:
        shutil.copyfileobj(file, copy, CHUNK)
    # What it writes follows from what was read.
    with paused(host.read_log):
        done = host.run(COMMANDS[name](packed, plain), timeout=COMMAND_TIMEOUT, ok=ANY_CODE, largest_file=most, here=True)
    if done.rc == NOT_FOUND:
        raise HostError(f"The command {name} is needed to unpack {name} data and is not installed.", f"Install the package {name}.")
    if done.rc in WROTE_TOO_MUCH or "File too large" in done.stderr:
        raise CorruptFileError(TOO_LARGE.format(most >> 20))
    if done.rc in TIMED_OUT:
        raise CorruptFileError(f"{name} did not unpack it within {COMMAND_TIMEOUT} s")
    if done.rc != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.rc}"])[-1]
        # zstd shows only the end of a long path.
        raise CorruptFileError(f"{name} cannot unpack it ({last.rpartition('packed : ')[2].replace(packed, 'the stream')})")
    os.unlink(packed)
    return plain

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the archives of an initramfs are: the file itself, less a boot configuration at its end, or a part of a unified kernel image."""

from __future__ import annotations

import contextlib
import io
import re
import struct
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import kernel_image
from ansible_collections.vfio.variants.plugins.module_utils._core.host.compression import LARGEST_STREAM, FileReader
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import CorruptFileError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_part import FilePart
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.archive import members, skip_padding

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

PROGRAM = b"MZ"
# Documentation/admin-guide/bootconfig.rst: size and checksum (little endian), then this; boot loaders may pad to four bytes.
MAGIC = b"#BOOTCONFIG\n"
HEAD = 8
MOST_PADDING = 3
LONGEST = (1 << 15) - 1
"""XBC_DATA_MAX: the kernel takes none that is longer."""
# Documentation/arch/x86/microcode.rst, Documentation/admin-guide/acpi/initrd_table_override.rst; mkinitcpio marks such an archive.
EARLY = re.compile(r"\.|early_cpio|kernel(?:/x86(?:/microcode(?:/[^/]+)?)?|/firmware(?:/acpi(?:/[^/]+)?)?)?")
MOST_ARCHIVES, MOST_NAMES = 16, 64


@contextlib.contextmanager
def opened(host: Host, path: str) -> t.Iterator[tuple[t.BinaryIO, str]]:
    """The archives of an image, as a file of their own, and the text of its boot configuration.

    Raises HostError if the file cannot be opened, CorruptFileError if it is a program without an initramfs.
    """
    host.note_image(path)
    with host.open(path, LARGEST_STREAM) as file:
        offset, size = 0, file.seek(0, io.SEEK_END)
        whole = size
        file.seek(0)
        if file.read(len(PROGRAM)) == PROGRAM:
            part = kernel_image.initrd_part(host, path)
            if part is None:
                raise CorruptFileError("it is a program without an initramfs")
            offset, size = part
        size, text = _without_boot_config(file, offset, size)
        file.seek(0)
        yield file if size == whole else t.cast("t.BinaryIO", FilePart(file, offset, size)), text


def _without_boot_config(file: t.BinaryIO, offset: int, size: int) -> tuple[int, str]:
    """The size of what is before the boot configuration, and its text."""
    length = min(size, len(MAGIC) + MOST_PADDING)
    file.seek(offset + size - length)
    end = file.read(length).rstrip(b"\0")
    at = size - length + len(end) - len(MAGIC) - HEAD
    if not end.endswith(MAGIC) or at < 0:
        return size, ""
    file.seek(offset + at)
    (text_size,) = struct.unpack_from("<I", file.read(HEAD))
    if text_size > min(at, LONGEST):
        return size, ""
    file.seek(offset + at - text_size)
    text = file.read(text_size).split(b"\0", 1)[0].decode("utf-8", "replace")
    return at - text_size, text


def is_program(host: Host, path: str) -> bool:
    """Whether the file is a program with an initramfs in it, not an image of its own."""
    if not host.is_file(path):
        return False
    with host.open(path) as file:
        return file.read(len(PROGRAM)) == PROGRAM


def is_microcode(host: Host, path: str, cache: Cache | None = None) -> bool:
    """Whether the file has nothing but what the kernel itself takes from an image: microcode, and tables for ACPI.

    A file that the ``cache`` knows is not opened.
    """
    try:
        if cache is None:
            return _has_nothing_else(host, path)
        return cache.remembered("microcode", path, lambda: _has_nothing_else(host, path), bool, bool)
    except OSError:
        return False


def _has_nothing_else(host: Host, path: str) -> bool:
    """Raises OSError if the file cannot be read."""
    try:
        with opened(host, path) as (file, _text):
            names = [name for archive in _plain_archives(file) for name in archive]
    except CorruptFileError:
        return False
    return bool(names) and all(EARLY.fullmatch(name) for name in names)


def _plain_archives(file: t.BinaryIO) -> t.Iterator[list[str]]:
    """The names in each archive that is not compressed, up to the first that says enough.  Raises CorruptFileError for other files."""
    for _archive in range(MOST_ARCHIVES):
        reader = FileReader(file)
        skip_padding(reader)
        if not reader.peek(1):
            return
        names: list[str] = []
        for member in members(FileReader(file)):
            names.append(member.name)
            if len(names) > MOST_NAMES or (member.name and not EARLY.fullmatch(member.name)):
                yield ["more"]
                return
        yield [name for name in names if name]
    yield ["more"]

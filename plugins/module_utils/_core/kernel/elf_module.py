# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kernel module says about itself, read from its file."""

from __future__ import annotations

import dataclasses
import struct
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.compression import unpacked_bytes
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.damage import DamagedError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_signature import signer

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host import Host


@dataclasses.dataclass(frozen=True)
class ModuleInfo:
    """The fields of the section .modinfo that tell whether a module fits, and the signature's signer."""

    vermagic: str | None
    version: str | None
    srcversion: str | None
    aliases: tuple[str, ...]
    signer: str | None

    @classmethod
    def parse(cls, module: bytes, where: str) -> ModuleInfo:
        """Raises HostError when ``module`` is no ELF file with a section .modinfo; ``where`` names it."""
        try:
            section = _section(module, b".modinfo")
        except (struct.error, IndexError, ValueError) as error:
            raise HostError(f"{where} is no kernel module: {error}.") from error
        if section is None:
            raise HostError(f"{where} is no kernel module: it has no section .modinfo.")
        fields: dict[str, list[str]] = {}
        for entry in section.split(b"\0"):
            key, equals, value = entry.decode("utf-8", "surrogateescape").partition("=")
            if equals:
                fields.setdefault(key, []).append(value)

        def first(key: str) -> str | None:
            return next(iter(fields.get(key, ())), None)

        aliases = tuple(fields.get("alias", ()))
        return cls(first("vermagic"), first("version"), first("srcversion"), aliases, signer(module))

    @classmethod
    def read(cls, host: Host, path: str) -> ModuleInfo:
        """Read a module's file, compressed or not."""
        try:
            return cls.parse(unpacked_bytes(host, host.read_bytes(path)), path)
        except DamagedError as error:
            raise HostError(f"{path} is no kernel module: {error.msg}.") from error

    def fits(self, release: str) -> bool:
        """Whether the kernel of that release would load it."""
        return self.vermagic is not None and self.vermagic.split(" ", 1)[0] == release


def _section(elf: bytes, wanted: bytes) -> bytes | None:
    """The content of a section of an ELF file of any width and byte order.  Raises struct.error, IndexError or ValueError when cut off."""
    if elf[:4] != b"\x7fELF":
        raise IndexError("it does not begin as an ELF file does")
    wide, order = elf[4] == 2, "<" if elf[5] == 1 else ">"
    # e_shoff, e_shentsize, e_shnum, e_shstrndx of Elf64_Ehdr and Elf32_Ehdr
    (table,) = struct.unpack_from(f"{order}{'Q' if wide else 'I'}", elf, 40 if wide else 32)
    size, count, names_index = struct.unpack_from(f"{order}HHH", elf, 58 if wide else 46)
    headers = [_header(elf, table + size * index, wide, order) for index in range(count)]
    names_start = headers[names_index][1]
    for name, start, length in headers:
        begin = names_start + name
        if elf[begin : elf.index(b"\0", begin)] == wanted:
            return elf[start : start + length]
    return None


def _header(elf: bytes, at: int, wide: bool, order: str) -> tuple[int, int, int]:
    """A section's name (offset in the table of names), offset and size."""
    (name,) = struct.unpack_from(f"{order}I", elf, at)
    offset, size = struct.unpack_from(f"{order}{'QQ' if wide else 'II'}", elf, at + (24 if wide else 16))
    return name, offset, size

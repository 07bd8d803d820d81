# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel module's file without its code: what it says of the module stays, at the same places."""

from __future__ import annotations

import struct

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf import EXECUTABLE, NO_CONTENT, RELA, Elf, Section
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf_module import INIT

#: The module's own words, its tables of IDs, drivers and parameters with the pointers in them, its symbols, and which build it is.
_KEPT = (
    ".modinfo",
    ".data",
    ".rodata",
    ".symtab",
    ".strtab",
    ".shstrtab",
    "__param",
    "__versions",
    "__version_ext",
    "__ksymtab",
    "__kcrctab",
    ".note",
)
# Elf64_Sym and Elf64_Rela (elf(5)): a symbol's name, binding and type, visibility, section, value, size; a relocation's
# place, symbol and kind, addend.
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")
#: Tables of IDs, and what depmod knows exported symbols by.
_TELLING = (b"__mod_", b"__crc_")


def outline(module: bytes) -> bytes:
    """The file in the same length, with zeros for all that matters only to a kernel that runs it."""
    elf = Elf.parse(module)
    content = bytearray(module)
    for section in elf.sections:
        if section.kind != NO_CONTENT and not _is_kept(elf, section):
            content[section.start : section.start + section.size] = bytes(section.size)
    _drop_symbols(elf, content)
    return bytes(content)


def _is_kept(elf: Elf, section: Section) -> bool:
    if section.kind == RELA:
        return _is_data(elf.sections[section.info])
    return not section.flags & EXECUTABLE and section.name.startswith(_KEPT)


def _is_data(section: Section) -> bool:
    return section.name.startswith((".data", "__param"))


def _drop_symbols(elf: Elf, content: bytearray) -> None:
    """Those of the module's own that no kept pointer needs: most of the file's names are static functions'."""
    table, names = (next(section for section in elf.sections if section.name == name) for name in (".symtab", ".strtab"))
    texts = bytes(content[names.start : names.start + names.size])
    kept_texts = bytearray(names.size)
    pointed_at = _pointed_at(elf, content)
    starts = elf.first_symbol_at(INIT)
    for number, at in enumerate(range(table.start, table.start + table.size, _SYMBOL.size)):
        name, info, _visibility, _section, _value, _size = _SYMBOL.unpack_from(content, at)
        text = texts[name : texts.index(b"\0", name)]
        if info >> 4 or number in pointed_at or text.startswith(_TELLING) or (starts is not None and text == starts.encode()):
            kept_texts[name : name + len(text)] = text
        else:
            content[at : at + _SYMBOL.size] = bytes(_SYMBOL.size)
    content[names.start : names.start + names.size] = kept_texts


def _pointed_at(elf: Elf, content: bytearray) -> set[int]:
    """The numbers of the symbols that relocations of data lead to."""
    return {
        _RELOCATION.unpack_from(content, at)[1] >> 32
        for section in elf.sections
        if section.kind == RELA and _is_data(elf.sections[section.info])
        for at in range(section.start, section.start + section.size, _RELOCATION.size)
    }

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reader of ELF files, as far as kernel modules need it: sections, symbols, and relocations of pointers in data (elf(5))."""

from __future__ import annotations

import dataclasses
import functools
import struct
import typing as t

EXECUTABLE = 0x4
"""SHF_EXECINSTR."""
RELA = 4
NO_CONTENT = 8
"""SHT_RELA and SHT_NOBITS."""
UNDEFINED = 0
RESERVED = 0xFF00
"""SHN_UNDEF, and SHN_LORESERVE: this and larger numbers do not refer to a section."""

# Relocations that store a symbol's full address plus an addend, by e_machine: R_X86_64_64, R_AARCH64_ABS64, R_PPC64_ADDR64.
ADDRESS_RELOCATIONS = {62: 1, 183: 257, 21: 38}
LONGEST_NAME = 4096
"""Bytes of a section's or symbol's name: eight times the kernel's KSYM_NAME_LEN."""
MOST_ROWS = 1 << 20
"""Symbols of a file, or relocations of a section: the largest drivers have a fifth of that."""
MOST_POINTERS = 1 << 18
"""Pointers of a section of data, and places of symbols that are kept: both are in memory as objects, which take many times their size."""
MOST_FOUND = 1 << 14
"""Names that contain a text: `__mod_` is in one for each table of devices."""
LONGEST_CONTENT = 1 << 20
"""Bytes of a section that is read as a whole: .modinfo of a driver with a thousand aliases has a tenth of that."""
MOST_NAMED = 256 << 10
"""Bytes of a section whose pointers are named: six thousand parameters of a module."""
SECTION_NAMES = 16 << 20
"""Bytes of all sections' names."""
MAPPING = (".L", "L0", "$")
"""How the names begin that kallsyms passes over (is_mapping_symbol() in include/linux/module_symbol.h)."""


class NotElfError(Exception):
    """The bytes are not a complete ELF file."""


class Section(t.NamedTuple):
    name: str
    kind: int
    flags: int
    start: int
    size: int
    link: int
    info: int


class Place(t.NamedTuple):
    """A byte offset in a section, by the section's index."""

    section: int
    offset: int


@dataclasses.dataclass(frozen=True)
class Elf:
    """A relocatable ELF file of any width and byte order.  Methods raise NotElfError if the file is inconsistent."""

    data: bytes
    wide: bool
    order: str
    machine: int
    sections: tuple[Section, ...]

    @classmethod
    def parse(cls, data: bytes) -> Elf:
        """Parse the headers.  Raises NotElfError."""
        if data[:4] != b"\x7fELF":
            raise NotElfError("it has no ELF header")
        try:
            return cls._parse(data)
        except (struct.error, IndexError, ValueError, OverflowError) as error:
            raise NotElfError(str(error)) from error

    @classmethod
    def _parse(cls, data: bytes) -> Elf:
        wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
        (machine,) = struct.unpack_from(f"{order}H", data, 18)
        # e_shoff, e_shentsize, e_shnum, e_shstrndx of Elf64_Ehdr and Elf32_Ehdr
        (table,) = struct.unpack_from(f"{order}{'Q' if wide else 'I'}", data, 40 if wide else 32)
        size, count, names_index = struct.unpack_from(f"{order}HHH", data, 58 if wide else 46)
        # sh_name, sh_type, sh_flags, sh_addr, sh_offset, sh_size, sh_link, sh_info
        header = struct.Struct(f"{order}II{'QQQQ' if wide else 'IIII'}II")
        if table + size * count > len(data) or (count and size < header.size):
            raise NotElfError("its section table is incomplete")
        headers = [header.unpack_from(data, table + size * index) for index in range(count)]
        names, left = headers[names_index][4], SECTION_NAMES
        for row in headers:
            # Before any is made: each may be the whole of a long name's end.
            left -= max(data.find(b"\0", names + row[0], names + row[0] + LONGEST_NAME) - names - row[0], 0)
        if left < 0:
            raise NotElfError(f"its sections' names have more than {SECTION_NAMES >> 20} MiB")
        sections = tuple(
            Section(_string(data, names + name), kind, flags, start, length, link, info)
            for name, kind, flags, _address, start, length, link, info in headers
        )
        with_content = [section for section in sections if section.kind != NO_CONTENT]
        if any(section.start + section.size > len(data) for section in with_content if section.size):
            raise NotElfError("it ends in the middle of a section")
        # No two sections of a relocatable file overlap; in one where they do, a small file would be large.
        if sum(section.size for section in with_content) > len(data):
            raise NotElfError("its sections overlap")
        return cls(data, wide, order, machine, sections)

    def index(self, name: str) -> int | None:
        """The index of the first section of that name."""
        return next((index for index, section in enumerate(self.sections) if section.name == name), None)

    def content(self, name: str, most: int = LONGEST_CONTENT) -> bytes | None:
        """The content of the section of that name; None if there is none.  Raises NotElfError for more than ``most`` bytes."""
        index = self.index(name)
        if index is not None and self.sections[index].size > most:
            raise NotElfError(f"its section {name} has more than {most >> 10} KiB")
        return None if index is None else self.section_content(index)

    def section_content(self, index: int) -> bytes:
        section = self._section(index)
        return b"" if section.kind == NO_CONTENT else self.data[section.start : section.start + section.size]

    def section_view(self, index: int) -> memoryview:
        """The content of a section without a copy of it."""
        section = self._section(index)
        return memoryview(self.data)[section.start : section.start + (0 if section.kind == NO_CONTENT else section.size)]

    def string(self, place: Place) -> bytes | None:
        """The NUL-terminated string at a place; None if there is none."""
        section = self._section(place.section)
        end = section.start + min(section.size, place.offset + LONGEST_NAME)
        if section.kind == NO_CONTENT or not 0 <= place.offset < section.size:
            return None
        start = section.start + place.offset
        found = self.data.find(b"\0", start, end)
        return None if found < 0 else self.data[start:found]

    @property
    def code(self) -> frozenset[int]:
        """The sections that a pointer to a function may point into; on PowerPC that is .opd, with function descriptors."""
        return frozenset(index for index, section in enumerate(self.sections) if section.flags & EXECUTABLE or section.name == ".opd")

    def symbols(self, part: str) -> t.Iterator[tuple[str, Place, int]]:
        """Name, place and size of the defined symbols whose names contain ``part``."""
        table = self._symbol_table
        wanted = {} if table is None else dict(self._names_with(self._section(table.link), part.encode()))
        if table is None or not wanted:
            return
        for row in self._rows(table, struct.Struct(self._symbol)):
            if row[0] in wanted:
                name, section, value, size = self._fields(row)
                if UNDEFINED < section < RESERVED:
                    yield wanted[name], Place(section, value), size

    def undefined(self) -> t.Iterator[str]:
        """The names of undefined symbols, which the kernel or other modules provide."""
        table = self._symbol_table
        if table is None:
            return
        names = self._section(table.link).start
        for row in self._rows(table, struct.Struct(self._symbol)):
            name, section, _value, _size = self._fields(row)
            if name and section == UNDEFINED:
                yield _string(self.data, names + name)

    def pointers(self, section: int) -> dict[int, Place]:
        """The targets of the pointers in a section, by their offset in it.  For 64-bit files of known machines only."""
        found: dict[int, Place] = {}
        for table, offset, symbol, addend in self._addresses(section):
            place = self._symbol_place(table, symbol)
            if place is not None:
                if len(found) >= MOST_POINTERS:
                    raise NotElfError(f"{self._section(section).name} has more than {MOST_POINTERS} pointers")
                found[offset] = Place(place.section, place.offset + addend)
        return found

    def pointer_names(self, section: int) -> dict[int, str]:
        """The names of the symbols that the pointers in a section refer to, by offset: also those that others define."""
        if self._section(section).size > MOST_NAMED:
            raise NotElfError(f"{self._section(section).name} has more than {MOST_NAMED >> 10} KiB")
        size = self._section(section).size
        return {offset: self._symbol_name(table, symbol) for table, offset, symbol, _addend in self._addresses(section) if offset < size}

    def _symbol_name(self, table: int, number: int) -> str:
        try:
            name, *_rest = self._fields(struct.unpack_from(self._symbol, self.data, self._symbol_at(table, number)))
            return _string(self.data, self._section(self._section(table).link).start + name)
        except (struct.error, OverflowError) as error:
            raise NotElfError(str(error)) from error

    def _addresses(self, section: int) -> t.Iterator[tuple[int, int, int, int]]:
        """Each pointer in a section: the table of its symbol, its offset, the symbol's number, the addend."""
        wanted = ADDRESS_RELOCATIONS.get(self.machine)
        if wanted is None or not self.wide:
            return
        relocation = struct.Struct(f"{self.order}QQq")
        for table in self._relocations.get(section, ()):
            for offset, info, addend in self._rows(table, relocation):
                if info & 0xFFFFFFFF == wanted:
                    yield table.link, offset, info >> 32, addend

    def first_symbol_at(self, name: str) -> str | None:
        """The first symbol in the table that has the address of symbol ``name``, which is how the kernel names that address.

        (find_kallsyms_symbol() in kernel/module/kallsyms.c)  None if there is no such symbol.
        """
        table = self._symbol_table
        if table is None:
            return None
        strings = self._section(table.link)
        # Names may share their ends in the table of strings.
        called = set(self._occurrences(strings, name.encode() + b"\0"))
        symbol = struct.Struct(self._symbol)
        wanted = next((self._place_of(row) for row in self._rows(table, symbol) if row[0] in called), None)
        same = (row for row in self._rows(table, symbol) if row[0] and wanted is not None and self._place_of(row) == wanted)
        texts = (_string(self.data, strings.start + row[0]) for row in same)
        return next((text for text in texts if not text.startswith(MAPPING)), None)

    @functools.cached_property
    def _symbol_table(self) -> Section | None:
        """The kernel refuses a module with more than one (elf_validity_cache_index_sym() in kernel/module/main.c)."""
        return next((section for section in self.sections if section.name == ".symtab"), None)

    @functools.cached_property
    def _relocations(self) -> t.Mapping[int, t.Sequence[Section]]:
        """The tables of relocations of each section."""
        found: dict[int, list[Section]] = {}
        for table in self.sections:
            if table.kind == RELA:
                found.setdefault(table.info, []).append(table)
        return found

    def _names_with(self, strings: Section, part: bytes) -> t.Iterator[tuple[int, str]]:
        """Each name in a string table that contains ``part``, with its offset."""
        first, last = strings.start, strings.start + strings.size
        for at in self._occurrences(strings, part):
            start = self.data.rfind(b"\0", max(first, first + at - LONGEST_NAME), first + at) + 1 or first
            end = self.data.find(b"\0", first + at, min(last, start + LONGEST_NAME))
            if end >= 0:
                yield start - first, self.data[start:end].decode("utf-8", "surrogateescape")

    def _occurrences(self, strings: Section, part: bytes) -> t.Iterator[int]:
        """Where a string table contains ``part``, relative to its start.  Raises NotElfError if that is everywhere."""
        last = strings.start + strings.size
        at = self.data.find(part, strings.start, last)
        for _found in range(MOST_FOUND):
            if at < 0:
                return
            yield at - strings.start
            at = self.data.find(part, at + 1, last)
        raise NotElfError(f"more than {MOST_FOUND} of its names contain {part.decode().rstrip(chr(0))}")

    def _rows(self, table: Section, row: struct.Struct) -> t.Iterator[tuple[t.Any, ...]]:
        """The rows of a table of symbols or relocations; an incomplete one at its end is left out."""
        count = table.size // row.size
        if count > MOST_ROWS:
            raise NotElfError(f"{table.name} has more than {MOST_ROWS} entries")
        return row.iter_unpack(memoryview(self.data)[table.start : table.start + count * row.size])

    def _place_of(self, row: tuple[t.Any, ...]) -> tuple[int, int] | None:
        """Section and value of a symbol; None if it is not defined in the file."""
        _name, section, value, _size = self._fields(row)
        return (section, value) if UNDEFINED < section < RESERVED else None

    def _symbol_at(self, table: int, number: int) -> int:
        return self._section(table).start + number * struct.calcsize(self._symbol)

    def _symbol_place(self, table: int, number: int) -> Place | None:
        """Where a symbol, by number, is defined; cached, because most relocations use the same symbol of a section."""
        known = self._known_places
        if (table, number) not in known:
            try:
                row = struct.unpack_from(self._symbol, self.data, self._symbol_at(table, number))
            except (struct.error, OverflowError) as error:
                raise NotElfError(str(error)) from error
            if len(known) >= MOST_POINTERS:
                known.clear()
            place = self._place_of(row)
            known[table, number] = None if place is None else Place(*place)
        return known[table, number]

    @functools.cached_property
    def _known_places(self) -> dict[tuple[int, int], Place | None]:
        return {}

    @property
    def _symbol(self) -> str:
        # Elf64_Sym: name, info, other, section, value, size; Elf32_Sym: name, value, size, info, other, section
        return f"{self.order}{'IBBHQQ' if self.wide else 'IIIBBH'}"

    def _fields(self, row: tuple[t.Any, ...]) -> tuple[int, int, int, int]:
        """Name, section, value and size of a symbol."""
        if self.wide:
            return row[0], row[3], row[4], row[5]
        return row[0], row[5], row[1], row[2]

    def _section(self, index: int) -> Section:
        if not 0 <= index < len(self.sections):
            raise NotElfError(f"it has no section {index}")
        return self.sections[index]


def _string(data: bytes, at: int) -> str:
    end = data.find(b"\0", at, at + LONGEST_NAME)
    if end < 0:
        raise NotElfError("a name in it does not end")
    return data[at:end].decode("utf-8", "surrogateescape")

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ELF files down to their edges: strings, symbols and pointers that lie where a correct file may have them, and wrong ones."""

from __future__ import annotations

import struct
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf import Elf, NotElfError, Place
from ansible_collections.vfio.variants.tests.unit.driver_files import CODE, DATA, PROGBITS, RELOCATIONS, STRINGS, SYMBOLS, X86_64, Assembly
from ansible_collections.vfio.variants.tests.unit.module_files import elf

NOBITS = 8
# SHN_ABS and SHN_COMMON of elf(5): numbers that are no section's.
ABSOLUTE, COMMON = 0xFFF1, 0xFFF2


def assembled(
    symbols: t.Sequence[tuple[str, int, int, int]] = (),
    relocations: t.Sequence[tuple[int, int, int, int]] = (),
    ragged: bytes = b"",
    share_ends: bool = True,
) -> Elf:
    """Symbols by name, section, value and size; relocations of .data by offset, symbol, kind and addend."""
    out = Assembly(X86_64)
    names = b"\0" + b"".join(name.encode() + b"\0" for name, *_rest in symbols)
    found = {name: names.index((b"" if share_ends else b"\0") + name.encode() + b"\0") + (not share_ends) for name, *_rest in symbols}
    rows = bytes(24) + b"".join(out.pack("IBBHQQ", found[name], 0, 0, section, value, size) for name, section, value, size in symbols)
    pointers = b"".join(out.pack("QQq", at, symbol << 32 | kind, addend) for at, symbol, kind, addend in relocations)
    out.sections = {
        ".text": (PROGBITS, CODE, b"\x90" * 8, 0, 0),
        ".data": (PROGBITS, DATA, b"one\0two\0open", 0, 0),
        ".bss": (NOBITS, DATA, bytes(8), 0, 0),
        ".symtab": (SYMBOLS, 0, rows + ragged, 5, 0),
        ".strtab": (STRINGS, 0, names, 0, 0),
        ".rela.data": (RELOCATIONS, 0, pointers + ragged, 4, 2),
        ".opd": (PROGBITS, DATA, bytes(8), 0, 0),
    }
    return Elf.parse(out.file())


TEXT, DATA_SECTION, BSS, OPD = 1, 2, 3, 7


@pytest.mark.parametrize(
    ("section", "offset", "found"),
    [
        (DATA_SECTION, 0, b"one"),
        (DATA_SECTION, 1, b"ne"),
        (DATA_SECTION, 3, b""),
        (DATA_SECTION, 4, b"two"),
        # The last one has no end in its section, though a NUL follows in the file.
        (DATA_SECTION, 8, None),
        (DATA_SECTION, 11, None),
        (DATA_SECTION, 12, None),
        (DATA_SECTION, -1, None),
        (BSS, 0, None),
    ],
)
def test_a_string_ends_within_its_section_or_is_none(section: int, offset: int, found: bytes | None) -> None:
    assert assembled().string(Place(section, offset)) == found


@pytest.mark.parametrize("section", [-1, 9, 99])
def test_a_section_that_is_not_there_is_told(section: int) -> None:
    with pytest.raises(NotElfError, match=f"it has no section {section}"):
        assembled().string(Place(section, 0))


def test_a_section_without_content_in_the_file_has_none() -> None:
    assert assembled().content(".bss") == b""
    assert assembled().content(".text") == b"\x90" * 8
    assert assembled().content(".absent") is None


def test_the_first_section_of_a_name_is_meant() -> None:
    assert (assembled().index(".text"), assembled().index(".data"), assembled().index(".absent")) == (TEXT, DATA_SECTION, None)


def test_code_is_what_can_be_executed_and_the_descriptors_of_powerpc() -> None:
    assert assembled().code == {TEXT, OPD}


SYMBOLS_OF_EACH_KIND = [
    ("__mod_first", DATA_SECTION, 4, 7),
    ("other", DATA_SECTION, 0, 1),
    ("has__mod_within", TEXT, 2, 3),
    ("__mod_undefined", 0, 0, 0),
    ("__mod_absolute", ABSOLUTE, 1, 1),
    ("__mod_common", COMMON, 1, 1),
    ("puts", 0, 0, 0),
]


def test_defined_symbols_are_found_by_a_part_of_their_names() -> None:
    found = list(assembled(SYMBOLS_OF_EACH_KIND).symbols("__mod_"))
    assert found == [("__mod_first", Place(DATA_SECTION, 4), 7), ("has__mod_within", Place(TEXT, 2), 3)]
    assert list(assembled(SYMBOLS_OF_EACH_KIND).symbols("nothing")) == []


def test_undefined_symbols_are_those_of_no_section() -> None:
    assert list(assembled(SYMBOLS_OF_EACH_KIND).undefined()) == ["__mod_undefined", "puts"]


def test_an_unfinished_last_entry_of_a_table_is_left_out() -> None:
    whole = assembled(SYMBOLS_OF_EACH_KIND, [(0, 1, 1, 2)], ragged=b"\x01" * 5)
    assert [name for name, _place, _size in whole.symbols("__mod_")] == ["__mod_first", "has__mod_within"]
    assert list(whole.undefined()) == ["__mod_undefined", "puts"]
    assert whole.pointers(DATA_SECTION) == {0: Place(DATA_SECTION, 6)}


INIT = "init_module"


@pytest.mark.parametrize(
    ("symbols", "named"),
    [
        ([(INIT, TEXT, 4, 1)], INIT),
        ([("first", TEXT, 4, 1), (INIT, TEXT, 4, 1)], "first"),
        ([("elsewhere", TEXT, 0, 1), ("other_section", DATA_SECTION, 4, 1), (INIT, TEXT, 4, 1)], INIT),
        # is_mapping_symbol(): the compiler's own labels, which kallsyms passes over.
        ([("$x", TEXT, 4, 0), (".L12", TEXT, 4, 0), ("L0\1", TEXT, 4, 0), ("first", TEXT, 4, 1), (INIT, TEXT, 4, 1)], "first"),
        # The name is also the end of another's, in whose string it is found first.
        ([("my_init_module", TEXT, 2, 1), (INIT, TEXT, 4, 1)], INIT),
        ([("my_init_module", TEXT, 4, 1), (INIT, TEXT, 4, 1)], "my_init_module"),
        ([("init_module_too", TEXT, 2, 1), (INIT, TEXT, 4, 1)], INIT),
        ([(INIT, 0, 0, 0), ("puts", 0, 0, 0)], None),
        ([("first", TEXT, 4, 1)], None),
    ],
)
@pytest.mark.parametrize("share_ends", [True, False])
def test_an_address_is_called_by_the_first_symbol_there(
    symbols: list[tuple[str, int, int, int]], named: str | None, share_ends: bool
) -> None:
    """find_kallsyms_symbol() in kernel/module/kallsyms.c goes through the table from its beginning."""
    assert assembled(symbols, share_ends=share_ends).first_symbol_at(INIT) == named


def test_a_narrow_file_has_symbols_of_another_layout() -> None:
    """Elf32_Sym of elf(5): st_name, st_value, st_size, st_info, st_other, st_shndx."""
    names = b"\0first\0init_module\0"
    rows = bytes(16) + b"".join(
        struct.pack("<IIIBBH", names.index(name), value, 1, 0, 0, 1)
        for name, value in ((b"first\0", 4), (b"init_module\0", 4), (b"first\0", 8))
    )
    whole = bytearray(elf({".text": bytes(16), ".symtab": rows, ".strtab": names}, wide=False))
    (table,) = struct.unpack_from("<I", whole, 32)
    # sh_link of the second section of 40 bytes each: its names are in the third.
    struct.pack_into("<I", whole, table + 2 * 40 + 24, 3)
    found = Elf.parse(bytes(whole))
    assert found.first_symbol_at(INIT) == "first"
    assert list(found.symbols("first")) == [("first", Place(1, 4), 1), ("first", Place(1, 8), 1)]
    assert list(found.undefined()) == []


def test_a_pointer_leads_to_its_symbol_and_as_far_behind_it_as_the_addend_says() -> None:
    relocations = [(0, 1, 1, 0), (8, 1, 1, 2), (16, 3, 1, 1)]
    found = assembled(SYMBOLS_OF_EACH_KIND, relocations).pointers(DATA_SECTION)
    assert found == {0: Place(DATA_SECTION, 4), 8: Place(DATA_SECTION, 6), 16: Place(TEXT, 3)}


def test_what_is_not_a_whole_address_or_leads_to_no_section_is_not_a_pointer() -> None:
    # R_X86_64_PC32 is 2; symbol 4 is undefined, 5 is absolute.
    assert assembled(SYMBOLS_OF_EACH_KIND, [(0, 1, 2, 0), (8, 4, 1, 0), (16, 5, 1, 0)]).pointers(DATA_SECTION) == {}
    assert assembled(SYMBOLS_OF_EACH_KIND, [(0, 1, 1, 0)]).pointers(TEXT) == {}


def test_a_pointer_to_a_symbol_that_is_not_there_is_told() -> None:
    with pytest.raises(NotElfError):
        assembled(SYMBOLS_OF_EACH_KIND, [(0, 1 << 20, 1, 0)]).pointers(DATA_SECTION)


def test_a_machine_whose_relocations_are_not_known_has_no_pointers() -> None:
    # EM_MIPS is 8; a narrow file has relocations of another size.
    out = Assembly((8, 1))
    out.sections = {".data": (PROGBITS, DATA, bytes(8), 0, 0), ".rela.data": (RELOCATIONS, 0, out.pack("QQq", 0, 1, 0), 0, 1)}
    assert Elf.parse(out.file()).pointers(1) == {}
    assert Elf.parse(elf({".data": bytes(8)}, wide=False)).pointers(1) == {}


@pytest.mark.parametrize("place", range(4))
def test_a_file_that_does_not_begin_as_elf_is_refused_though_all_else_is_right(place: int) -> None:
    whole = bytearray(elf({".modinfo": b"a=b\0"}))
    whole[place] ^= 0xFF
    with pytest.raises(NotElfError, match="it has no ELF header"):
        Elf.parse(bytes(whole))


def header(table: int, size: int, count: int, names: int = 0) -> bytes:
    """A 64-bit ELF header with this section table."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, table, 0, 64, 0, 0, size, count, names)


def row(start: int, length: int, kind: int = PROGBITS, name: int = 0) -> bytes:
    """A section's header."""
    return struct.pack("<IIQQQQIIQQ", name, kind, 0, 0, start, length, 0, 0, 0, 0)


@pytest.mark.parametrize(
    "data",
    [
        header(2**63, 64, 65535),
        header(2**64 - 1, 64, 1),
        header(64, 64, 3) + bytes(64),
        header(64, 0, 3) + bytes(200),
        header(64, 1, 65535) + bytes(1 << 17),
        header(64, 64, 1, 7) + bytes(64),
        header(64, 64, 1) + row(2**63, 2**63),
        header(64, 64, 1) + row(0, 129),
        header(64, 64, 2) + row(0, 100) + row(0, 100),
        # A name without an end: each of many sections would have a copy of the rest of the file.
        header(64, 64, 1) + row(128, 6000) + b"x" * 6000,
        b"\x7fELF",
    ],
)
def test_a_table_that_lies_outside_of_the_file_or_twice_in_it_is_not_an_elf_file(data: bytes) -> None:
    with pytest.raises(NotElfError):
        Elf.parse(data)


def test_a_section_without_content_may_have_any_size() -> None:
    sections = row(2**63, 2**63, kind=NOBITS) + row(7, 9)
    assert Elf.parse(header(64, 64, 2, 1) + sections).section_content(0) == b""

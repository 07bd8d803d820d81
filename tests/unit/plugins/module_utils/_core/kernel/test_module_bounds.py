# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module's file that is small on disk, or within the limit of its size, cannot fill memory by what is made of it."""

from __future__ import annotations

import os
import re
import tracemalloc
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host import compression
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import CorruptFileError, HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import driver_tables
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import elf as elf_files
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf import Elf, NotElfError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf_module import ModuleInfo
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.fingerprint import Fingerprint
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_content import InstalledModules, ModuleContent
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_file import is_same_file
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.driver_files import (
    DATA,
    PROGBITS,
    RELOCATIONS,
    STRINGS,
    SYMBOLS,
    TABLE,
    X86_64,
    Assembly,
    Driver,
    Entry,
    driver_file,
)
from ansible_collections.vfio.variants.tests.unit.images import packed
from ansible_collections.vfio.variants.tests.unit.module_files import elf
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

PATH = f"/lib/modules/{DEBIAN_13}/kernel/x.ko"
CARD = Entry(0x10DE, 0x1DB1)


def with_symbols(strings: bytes, rows: t.Sequence[tuple[int, int, int]], pointers: int = 0) -> bytes:
    """A module whose symbols have these names (by offset), sections and values, and whose .data has so many pointers."""
    out = Assembly(X86_64)
    out.sections = {
        ".data": (PROGBITS, DATA, bytes(8 * pointers), 0, 0),
        ".symtab": (SYMBOLS, 0, bytes(24) + b"".join(out.pack("IBBHQQ", name, 0, 0, where, at, 8) for name, where, at in rows), 3, 0),
        ".strtab": (STRINGS, 0, b"\0" + strings, 0, 0),
        ".rela.data": (RELOCATIONS, 0, b"".join(out.pack("QQq", 8 * at, 1 << 32 | 1, 0) for at in range(pointers)), 2, 1),
        ".modinfo": (PROGBITS, TABLE, b"license=GPL\0alias=pci:v000010DEd00001DB1sv*sd*bc*sc*i*\0", 0, 0),
    }
    return out.file()


@pytest.mark.parametrize("entry", [b"\0", b"a=b\0", b"alias=pci:v*\0", b"parmtype=a:int\0", b"\xff"])
def test_information_longer_than_that_of_any_module_is_refused_before_it_is_divided(tmp_path: Path, entry: bytes) -> None:
    module = elf({".modinfo": entry * (elf_files.LONGEST_CONTENT // len(entry) + 1)})
    tree = Tree(tmp_path).file(PATH, module)
    tracemalloc.start()
    try:
        for read in (ModuleInfo.read, ModuleContent.read):
            with pytest.raises(
                HostError, match=rf"^{re.escape(PATH)} is not a kernel module: its section \.modinfo has more than 1024 KiB\.$"
            ):
                read(tree.host(), PATH)
        assert tracemalloc.get_traced_memory()[1] < 6 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", [b"init_module\0", b"__mod_pci__x_device_table\0"])
def test_a_name_that_is_everywhere_in_the_table_of_strings_is_refused(name: bytes) -> None:
    few, many = (with_symbols(name * count, [(1, 1, 0)]) for count in (100, elf_files.MOST_FOUND + 1))
    ModuleContent.parse(few, PATH)
    with pytest.raises(
        HostError, match=f"^{re.escape(PATH)} is not a kernel module: more than {elf_files.MOST_FOUND} of its names contain "
    ):
        ModuleContent.parse(many, PATH)


def test_a_name_longer_than_any_symbols_is_none() -> None:
    long = with_symbols(b"x" * elf_files.LONGEST_NAME + b"__mod_\0__mod_short\0", [(1, 1, 0), (1 + elf_files.LONGEST_NAME + 7, 1, 4)])
    assert [name for name, _place, _size in Elf.parse(long).symbols("__mod_")] == ["__mod_short"]


def test_more_pointers_than_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elf_files, "MOST_POINTERS", 10)
    assert len(Elf.parse(with_symbols(b"x\0", [(1, 1, 0)], pointers=10)).pointers(1)) == 10
    with pytest.raises(NotElfError, match=r"^\.data has more than 10 pointers$"):
        Elf.parse(with_symbols(b"x\0", [(1, 1, 0)], pointers=11)).pointers(1)


def test_names_of_the_pointers_of_a_huge_section_are_not_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elf_files, "MOST_NAMED", 80)
    assert Elf.parse(with_symbols(b"x\0", [(1, 1, 0)], pointers=10)).pointer_names(1) == dict.fromkeys(range(0, 80, 8), "x")
    with pytest.raises(NotElfError, match=r"^\.data has more than "):
        Elf.parse(with_symbols(b"x\0", [(1, 1, 0)], pointers=11)).pointer_names(1)


def test_long_names_of_many_sections_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module = elf({f".text.{number:0500}": b"" for number in range(100)})
    assert len(Elf.parse(module).sections) == 102
    monkeypatch.setattr(elf_files, "SECTION_NAMES", 20_000)
    with pytest.raises(NotElfError, match="its sections' names have more than "):
        Elf.parse(module)


def test_more_tables_than_any_driver_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module = with_symbols(b"__mod_pci__x_device_table\0", [(1, 1, 8 * at) for at in range(5)], pointers=10)
    ModuleContent.parse(module, PATH)
    monkeypatch.setattr(driver_tables, "MOST_TABLES", 4)
    with pytest.raises(HostError, match="it has more than 4 tables of devices"):
        ModuleContent.parse(module, PATH)


def test_drivers_that_share_a_long_table_count_each(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(b"one", (CARD,) * 100)
    monkeypatch.setattr(driver_tables, "MOST_DEVICES", 300)
    assert len(ModuleContent.parse(driver_file(DEBIAN_13, [driver]), PATH).tables.drivers) == 1
    with pytest.raises(HostError, match="its drivers have more than 300 devices"):
        ModuleContent.parse(driver_file(DEBIAN_13, [driver] * 4), PATH)


def test_a_build_id_that_is_none_is_not_written_out() -> None:
    huge = elf({".note.gnu.build-id": bytes(2000)})
    assert Fingerprint.of(Tree(Path("/nothing")).host(), huge, PATH).build_id is None


@pytest.mark.parametrize("program", ["gzip", "xz", "zstd"])
def test_a_compressed_module_that_is_itself_huge_is_refused(tmp_path: Path, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "LARGEST_PACKED", 1 << 20)
    module = elf({".modinfo": b"license=GPL\0", ".text": os.urandom(1 << 20)})
    tree = Tree(tmp_path).file(PATH, packed(module, program)).file(f"/lib/modules/{DEBIAN_13}/modules.dep", "kernel/x.ko:\n")
    host = tree.host(Commands(tmp_path))
    with pytest.raises(CorruptFileError, match=f"^{re.escape(PATH)} cannot be read: it has more than 1 MiB and is compressed\\.$"):
        InstalledModules.read(host, DEBIAN_13, ["x"])
    with pytest.raises(HostError, match=f"^{re.escape(PATH)} is not a kernel module: it has more than 1 MiB and is compressed\\.$"):
        ModuleInfo.read(host, PATH)


@pytest.mark.parametrize("change", [lambda whole: whole + b"x", lambda whole: whole[:-1], lambda whole: whole[:-1] + b"x"])
def test_two_modules_are_compared_without_having_both_in_memory(tmp_path: Path, change: t.Callable[[bytes], bytes]) -> None:
    whole = bytes(range(256)) * (16 << 12)
    tree = Tree(tmp_path).file("/a", whole).file("/b", whole).file("/c", change(whole))
    host = tree.host()
    tracemalloc.start()
    try:
        assert is_same_file(host, "/a", "/b")
        assert not is_same_file(host, "/a", "/c")
        assert not is_same_file(host, "/c", "/a")
        assert tracemalloc.get_traced_memory()[1] < 6 << 20 < len(whole)
    finally:
        tracemalloc.stop()

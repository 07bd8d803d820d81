# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layouts, marks and limits of files that Linux reads or makes: as a compiler sees its headers, and as real programs write them."""

from __future__ import annotations

import re
import subprocess
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host import compression
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs import archive, image_file
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import (
    cmdline,
    driver_tables,
    elf,
    elf_module,
    fingerprint,
    index_file,
    parameter_table,
    parameter_types,
    parameters,
    signature_policy,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import ParameterType, objection
from ansible_collections.vfio.variants.tests.unit.sources import LINUX, PROGRAMS

if t.TYPE_CHECKING:
    from pathlib import Path

WIDTHS = {"byte": 1, "short": 2, "ushort": 2, "int": 4, "uint": 4, "hexint": 4, "long": 8, "ulong": 8, "ullong": 8}
TYPES = """\
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
typedef uint8_t u8; typedef int8_t s8; typedef uint16_t u16; typedef uint32_t u32, __u32, __be32;
typedef unsigned long kernel_ulong_t; typedef int pm_message_t;
"""


def numbers(folder: Path, declarations: str, *expressions: str) -> list[int]:
    """What a compiler makes of expressions after some declarations."""
    source = folder / "a.c"
    shown = "".join(f'printf("%lu\\n", (unsigned long)({one}));' for one in expressions)
    source.write_text(f"{TYPES}{declarations}\nint main(void) {{ {shown} return 0; }}\n")
    subprocess.run(["gcc", "-w", "-o", folder / "a", source], check=True, timeout=60)
    return [int(one) for one in subprocess.run([folder / "a"], check=True, timeout=60, capture_output=True, text=True).stdout.split()]


def struct(path: str, name: str) -> str:
    return LINUX.text(path, f"\nstruct {name} {{", "\n};") + "\n};\n"


def test_a_driver_s_table_and_how_it_probes_are_where_linux_has_them(tmp_path: Path) -> None:
    """The members behind the driver are left out: they have types of their own."""
    driver = "include/linux/device/driver.h"
    whole = LINUX.text(driver, "enum probe_type {", "};") + "};\n" + struct(driver, "device_driver")
    pci = LINUX.text("include/linux/pci.h", "\nstruct pci_driver {", "\tstruct pci_dynids") + "};\n"
    found = numbers(
        tmp_path,
        struct("include/linux/mod_devicetable.h", "pci_device_id") + whole + pci,
        "offsetof(struct pci_driver, driver.probe_type) - offsetof(struct pci_driver, id_table)",
        "offsetof(struct pci_driver, id_table) - offsetof(struct pci_driver, name)",
        "sizeof(struct pci_device_id)",
        "offsetof(struct pci_device_id, override_only)",
        "PROBE_PREFER_ASYNCHRONOUS",
        "PROBE_FORCE_SYNCHRONOUS",
    )
    sizes = list(driver_tables.ENTRY_SIZES)
    order = [driver_tables.PREFER_ASYNCHRONOUS, driver_tables.FORCE_SYNCHRONOUS]
    assert found == [driver_tables.PROBE_TYPE, driver_tables.POINTER, *sizes, *order]
    assert f"PCI_ID_F_VFIO_DRIVER_OVERRIDE = {driver_tables.VFIO_OVERRIDE}," in LINUX.text("include/linux/mod_devicetable.h")


def test_a_parameter_and_a_signature_are_laid_out_as_linux_declares_them(tmp_path: Path) -> None:
    signature = "include/linux/module_signature.h"
    found = numbers(
        tmp_path,
        struct("include/linux/moduleparam.h", "kernel_param")
        + LINUX.text(signature, "enum pkey_id_type {", "};")
        + "};\n"
        + struct(signature, "module_signature"),
        "sizeof(struct kernel_param)",
        "offsetof(struct kernel_param, ops)",
        "offsetof(struct kernel_param, arg)",
        "sizeof(struct module_signature)",
        "PKEY_ID_PKCS7",
        *(f"offsetof(struct module_signature, {name})" for name in ("id_type", "signer_len", "key_id_len", "sig_len")),
    )
    table = [parameter_table.ENTRY, parameter_table.OPERATIONS, parameter_table.ARGUMENT]
    assert found[:5] == [*table, elf_module.TRAILER.size, elf_module.PKCS7]
    packed = elf_module.TRAILER.pack(0, 0, 1, 2, 3, 4)
    assert [packed[place] for place in found[5:8]] == [1, 2, 3]
    assert int.from_bytes(packed[found[8] :], "big") == 4
    (mark,) = LINUX.quoted(signature, "#define MODULE_SIG_STRING", "\n")
    assert mark.replace("\\n", "\n").encode() == elf_module.MAGIC
    assert f'__section("{parameter_table.TABLE}")' in LINUX.text("include/linux/moduleparam.h")
    assert f"{elf_module.INIT}(void)" in LINUX.text("include/linux/module.h", "#define module_init(initfn)", "module_exit")


def test_numbers_of_elf_are_those_of_the_c_library_s_header(tmp_path: Path) -> None:
    machines = {"EM_X86_64": "R_X86_64_64", "EM_AARCH64": "R_AARCH64_ABS64", "EM_PPC64": "R_PPC64_ADDR64"}
    words = ("SHF_EXECINSTR", "SHT_RELA", "SHT_NOBITS", "SHN_UNDEF", "SHN_LORESERVE", "sizeof(Elf64_Nhdr)", *machines, *machines.values())
    found = numbers(tmp_path, "#include <elf.h>", *words)
    assert found[:5] == [elf.EXECUTABLE, elf.RELA, elf.NO_CONTENT, elf.UNDEFINED, elf.RESERVED]
    assert found[5] + len("GNU\0") == fingerprint.NOTE_HEADER
    assert dict(zip(found[6:9], found[9:])) == elf.ADDRESS_RELOCATIONS


def test_a_compiler_s_file_has_the_sections_and_symbols_that_binutils_see(tmp_path: Path) -> None:
    source, made = tmp_path / "a.c", tmp_path / "a.o"
    source.write_text("int x = 1; int zeros[8]; extern int other; int f(void) { return other + x; }\n")
    subprocess.run(["gcc", "-c", "-ffunction-sections", "-o", made, source], check=True, timeout=60)
    shown = subprocess.run(["readelf", "-SW", made], check=True, timeout=60, capture_output=True, text=True).stdout
    rows = re.findall(r"^\s*\[\s*\d+\] (\S+)\s+(\w+)\s+[0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+)", shown, re.MULTILINE)
    read = elf.Elf.parse(made.read_bytes())
    assert [(one.name, one.start, one.size) for one in read.sections if one.name] == [
        (name, int(at, 16), int(size, 16)) for name, _kind, at, size in rows
    ]
    assert {read.sections[index].name for index in read.code} == {".text", ".text.f"}
    assert [name for name, _place, _size in read.symbols("zeros")] == ["zeros"]
    assert "other" in set(read.undefined())


def test_symbols_that_linux_passes_over_begin_so() -> None:
    part = LINUX.text("include/linux/module_symbol.h", "is_mapping_symbol", "\n}")
    pairs = re.findall(r"str\[0\] == '(.)'(?: && str\[1\] == '(.)')?", part)
    assert tuple("".join(pair) for pair in pairs) == elf.MAPPING


def test_the_ranges_of_parameters_are_those_of_linux_s_types() -> None:
    source = LINUX.text("kernel/params.c")
    declared = dict(re.findall(r"^STANDARD_PARAM_DEF\((\w+),\s*([\w ]+),", source, re.MULTILINE))
    assert declared.keys() == parameter_types.RANGES.keys() == WIDTHS.keys()
    for name, (smallest, largest) in parameter_types.RANGES.items():
        size = 8 * WIDTHS[name]
        is_signed = "unsigned" not in declared[name]
        assert (smallest, largest) == ((-(1 << size - 1), (1 << size - 1) - 1) if is_signed else (0, (1 << size) - 1))
    kinds = set(re.findall(r"param_ops_(\w+)", LINUX.text("include/linux/moduleparam.h"))) | set(declared)
    assert kinds >= parameter_table._KINDS
    assert f"struct kernel_param_ops {parameter_table._ENABLE_ONLY} = {{" in source


def test_the_longest_texts_of_parameters_are_those_of_linux() -> None:
    part = LINUX.text("kernel/params.c", "int param_set_charp(", "\n}\n")
    assert f"maxlen = {parameter_types.LONGEST_CHARP};" in part
    assert "if (len == maxlen)" in part.replace("\n", " ") or "strnlen(val, maxlen + 1)" in part
    assert f"char ids[{parameters.LONGEST_IDS + 1}]" in LINUX.text("drivers/pci/pci-stub.c")


def test_words_of_booleans_are_those_of_linux() -> None:
    part = LINUX.text("lib/kstrtox.c", "int kstrtobool(const char *s", "EXPORT_SYMBOL")
    before, _switch, of_o = part.partition("switch (s[1])")
    first = re.findall(r"case '(.)':", before)
    on = [*first[: first.index("1") + 1], *(f"o{one}" for one in re.findall(r"case '(.)':", of_o)[:2])]
    off = [*first[first.index("1") + 1 : first.index("o")], *(f"o{one}" for one in re.findall(r"case '(.)':", of_o)[2:])]
    assert (on[0], off[0], len(on), len(off)) == ("y", "n", 7, 7)
    assert [parameter_types.parse_boolean(word) for word in (*on, *off)] == [True] * 7 + [False] * 7
    letters = {chr(code) for code in range(33, 127)} - {one[0] for one in (*on, *off)}
    assert {parameter_types.parse_boolean(letter) for letter in letters} == {None}
    assert objection(ParameterType("bool"), "q") is not None


def test_what_follows_two_dashes_is_not_the_kernel_s() -> None:
    assert f'strcmp(param, "{cmdline.END}") == 0' in LINUX.text("kernel/params.c", "char *parse_args(", "\n}\n")


def test_levels_of_lockdown_are_those_of_linux() -> None:
    compared = re.findall(r'strcmp\(level, "(\w+)"\)', LINUX.text("security/lockdown/lockdown.c"))
    assert tuple(compared) == signature_policy.LEVELS


def test_the_boot_configuration_s_mark_is_linux_s() -> None:
    header = "include/linux/bootconfig.h"
    (mark,) = LINUX.quoted(header, "#define BOOTCONFIG_MAGIC", "\n")[:1]
    assert mark.replace("\\n", "\n").encode() == image_file.MAGIC
    assert LINUX.macro(header, "BOOTCONFIG_MAGIC_LEN") == len(image_file.MAGIC)
    assert (1 << LINUX.macro(header, "BOOTCONFIG_ALIGN_SHIFT")) - 1 == image_file.MOST_PADDING
    given = dict(re.findall(r"^#define (XBC_VALUE|XBC_DATA_MAX)\s+\(([^)]*)\)", LINUX.text(header), re.MULTILINE))
    assert given == {"XBC_VALUE": "1 << 15", "XBC_DATA_MAX": "XBC_VALUE - 1"}
    assert image_file.LONGEST == (1 << 15) - 1


def test_marks_of_compression_are_those_by_which_linux_unpacks() -> None:
    rows = re.findall(r'\{ \{0x(\w\w), 0x(\w\w)\}, "(\w+)"', LINUX.text("lib/decompress.c", "compressed_formats[]", "};"))
    known = {(mark[:2], name) for mark, name in compression.MAGICS.items()}
    names = {"lzo": "lzop"}
    # gunzip() itself refuses the second mark of gzip's.
    wanted = {(bytes.fromhex(first + second), names.get(name, name)) for first, second, name in rows} - {(b"\x1f\x9e", "gzip")}
    assert len(wanted) == 7
    # The second mark of lz4 is that of lz4's program, which images may have that no kernel reads.
    assert known - wanted == {(b"\x04\x22", "lz4")}
    assert wanted - known == set()


@pytest.mark.parametrize(
    ("command", "name"),
    [
        *((["gzip"], "gzip"), (["bzip2"], "bzip2"), (["xz"], "xz"), (["xz", "--format=lzma"], "lzma"), (["zstd", "-c"], "zstd")),
        *((["lz4", "-l", "-c"], "lz4"), (["lz4", "-c"], "lz4"), (["lzop", "-c"], "lzop")),
    ],
)
def test_what_a_program_packs_begins_with_its_mark(command: list[str], name: str) -> None:
    made = subprocess.run(command, input=b"abc" * 100, check=True, timeout=60, capture_output=True).stdout
    assert compression.kind(made[: compression.LONGEST_MAGIC]) == name


def test_marks_of_archives_are_those_of_linux_and_of_cpio(tmp_path: Path) -> None:
    source = LINUX.text("init/initramfs.c")
    assert tuple(one.encode() for one in re.findall(r'memcmp\(collected, "(07070[12])", 6\)', source)) == archive.MAGICS
    assert f'strcmp(collected, "{archive.TRAILER.decode()}")' in source
    assert f"read_into(header_buf, {archive.HEADER_SIZE}, GotHeader)" in source
    (tmp_path / "a").write_text("x")
    made = subprocess.run(["cpio", "-o", "-H", "newc"], input=b"a\n", cwd=tmp_path, check=True, timeout=60, capture_output=True).stdout
    assert archive.HEADER.match(made)
    assert made[archive.HEADER_SIZE :].startswith(b"a\0")
    assert archive.TRAILER in made


def test_an_index_is_marked_as_kmod_marks_it() -> None:
    source = "kmod-34/libkmod/libkmod-index.c"
    assert PROGRAMS.macro(source, "INDEX_MAGIC").to_bytes(4, "big") == index_file.MAGIC
    assert PROGRAMS.macro(source, "INDEX_VERSION_MAJOR") == index_file._VERSION
    flags = dict(re.findall(r"INDEX_NODE_(\w+) = 0x(\w+),", PROGRAMS.text(source)))
    ours = {"PREFIX": index_file._PREFIX, "VALUES": index_file._VALUES, "CHILDS": index_file._CHILDREN, "MASK": index_file._OFFSET}
    assert {name: int(flags[name], 16) for name in ours} == ours

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The types of a module's parameters: what .modinfo says, and what the table of parameters adds."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf import Elf
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_table import read_types, types_of
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import ParameterType
from ansible_collections.vfio.variants.tests.unit.driver_files import (
    DATA,
    PROGBITS,
    RELOCATIONS,
    STRINGS,
    SYMBOLS,
    TABLE,
    X86_64,
    Assembly,
)

ENTRY = 40
"""struct kernel_param in include/linux/moduleparam.h: name, mod, ops, perm, level, flags, argument."""


def read(
    parameters: t.Sequence[tuple[str, str, int | None]], fields: t.Mapping[str, t.Sequence[str]], big_endian: bool = False, cut: int = 0
) -> dict[str, ParameterType]:
    """``parameters`` have a name, the symbol of their operations, and what the argument's structure begins with."""
    out = Assembly(big_endian=big_endian)
    strings, data = b"\0", b""
    operations = list(dict.fromkeys(symbol for _name, symbol, _number in parameters))
    relocations: list[tuple[int, int, int]] = []
    for number, (name, symbol, first) in enumerate(parameters):
        start = number * ENTRY
        relocations.append((start, 1, len(strings)))
        relocations.append((start + 16, 3 + operations.index(symbol), 0))
        if first is not None:
            relocations.append((start + 32, 2, len(data)))
            data += out.pack("II", first, 7)
        strings += name.encode() + b"\0"
    names = b"\0" + b"".join(symbol.encode() + b"\0" for symbol in operations)
    rows = bytes(24) + out.pack("IBBHQQ", 0, 3, 0, 1, 0, 0) + out.pack("IBBHQQ", 0, 3, 0, 2, 0, 0)
    rows += b"".join(out.pack("IBBHQQ", names.index(b"\0" + symbol.encode() + b"\0") + 1, 16, 0, 0, 0, 0) for symbol in operations)
    table = b"".join(out.pack("QQq", at, (symbol << 32) | X86_64[1], addend) for at, symbol, addend in relocations)
    out.sections = {
        ".rodata.str1.1": (PROGBITS, TABLE, strings, 0, 0),
        ".data": (PROGBITS, DATA, data, 0, 0),
        "__param": (PROGBITS, TABLE, bytes(ENTRY * len(parameters) - cut), 0, 0),
        ".rela__param": (RELOCATIONS, 0, table, 5, 3),
        ".symtab": (SYMBOLS, 0, rows, 6, 0),
        ".strtab": (STRINGS, 0, names, 0, 0),
    }
    return dict(read_types(Elf.parse(out.file()), fields))


def test_modinfo_has_types_and_the_names_of_those_without_one() -> None:
    found = types_of({"parm": ["a-b:a description: long", "own:x"], "parmtype": ["a_b:int", "list:array of bool"]})
    assert found == {"a_b": ParameterType("int"), "own": ParameterType(""), "list": ParameterType("array of bool")}
    assert types_of({}) == {}


@pytest.mark.parametrize(
    ("operations", "typed", "number", "kind"),
    [
        ("param_ops_string", "string", 1024, ParameterType("string", 1024)),
        ("param_ops_string", "string", 0, ParameterType("string")),
        ("param_ops_string", "string", 1 << 16, ParameterType("string", 1 << 16)),
        ("param_ops_string", "string", (1 << 16) + 1, ParameterType("string")),
        ("param_ops_string", "string", None, ParameterType("string")),
        ("param_array_ops", "array of int", 4, ParameterType("array of int", 4)),
        ("param_array_ops", "int", 4, ParameterType("", 4)),
        ("param_ops_int", "int", None, ParameterType("int")),
        ("param_ops_hexint", "uint", None, ParameterType("hexint")),
        ("param_ops_bool", "bool", 1, ParameterType("bool")),
        ("param_ops_bool_enable_only", "bool", None, ParameterType("bool")),
        ("param_ops_xint", "xint", None, ParameterType("")),
        ("io_queue_depth_ops", "uint", None, ParameterType("")),
    ],
)
@pytest.mark.parametrize("big_endian", [False, True])
def test_the_operations_say_who_reads_a_value(
    operations: str, typed: str, number: int | None, kind: ParameterType, big_endian: bool
) -> None:
    assert read([("x", operations, number)], {"parmtype": [f"x:{typed}"]}, big_endian) == {"x": kind}


@pytest.mark.parametrize("kind", "byte short ushort int uint long ulong ullong hexint charp bool invbool bint".split())
def test_the_kernels_own_operations_have_the_names_of_their_types(kind: str) -> None:
    assert read([("x", f"param_ops_{kind}", None)], {}) == {"x": ParameterType(kind)}


def test_each_entry_of_the_table_has_its_own_name_operations_and_argument() -> None:
    parameters = [("first-one", "param_ops_int", None), ("second", "param_ops_string", 16), ("third", "param_array_ops", 3)]
    fields = {"parmtype": ["first_one:uint", "third:array of bool", "fourth:bool"], "parm": ["second:x"]}
    whole = {
        "first_one": ParameterType("int"),
        "second": ParameterType("string", 16),
        "third": ParameterType("array of bool", 3),
        "fourth": ParameterType("bool"),
    }
    assert read(parameters, fields) == whole
    assert read(parameters, fields, cut=1) == {**whole, "third": ParameterType("array of bool")}

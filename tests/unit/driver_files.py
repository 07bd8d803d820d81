# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel module files with PCI drivers in them, laid out as compiler and modpost do: data, strings, tables, symbols, relocations."""

from __future__ import annotations

import dataclasses
import struct
import typing as t

ANY = 0xFFFFFFFF
CODE, DATA, TABLE = 0x4, 0x3, 0x2
PROGBITS, SYMBOLS, STRINGS, RELOCATIONS = 1, 2, 3, 4
X86_64, AARCH64, PPC64 = (62, 1), (183, 257), (21, 38)
# node, or nothing, before `name`; then `name`, `id_table`, `probe` …; `driver.probe_type` is 140 bytes behind `name`.
STRUCT, PROBE_TYPE = 288, 140


@dataclasses.dataclass(frozen=True)
class Entry:
    """One line of an ID table."""

    vendor: int = ANY
    device: int = ANY
    class_code: int = 0
    class_mask: int = 0
    override: int = 0

    @property
    def alias(self) -> str:
        """As modpost announces it, whole class bytes only."""
        numbers = ["*" if number == ANY else f"{number:08X}" for number in (self.vendor, self.device)]
        shown = [f"{self.class_code >> shift & 0xFF:02X}" if self.class_mask >> shift & 0xFF else "*" for shift in (16, 8, 0)]
        bus = "vfio_pci" if self.override else "pci"
        return f"{bus}:v{numbers[0]}d{numbers[1]}sv*sd*bc{shown[0]}sc{shown[1]}i{shown[2]}{'' if shown[2] == '*' else '*'}"


@dataclasses.dataclass(frozen=True)
class Driver:
    """A `struct pci_driver`; ``symbol`` is MODULE_DEVICE_TABLE()'s, None for a table that it does not name."""

    name: bytes
    ids: tuple[Entry, ...]
    symbol: str | None = "__mod_pci__table_device_table"
    probe_type: int = 0
    probe: bool = True
    """Whether `probe` lies in the file: helpers of a family of drivers share that of another module."""
    node: int = 16
    """The list node before `name`, which the structure had up to Linux 6.7."""
    size: int = STRUCT
    """How many bytes of it there are from `name` on."""


@dataclasses.dataclass
class Assembly:
    """A relocatable file in the making: each section's kind, flags, content, link and info by its name, in order."""

    machine: tuple[int, int] = X86_64
    big_endian: bool = False
    id_size: int = 40
    sections: dict[str, tuple[int, int, bytes, int, int]] = dataclasses.field(default_factory=dict)

    @property
    def order(self) -> str:
        return ">" if self.big_endian else "<"

    def pack(self, layout: str, *values: int) -> bytes:
        return struct.pack(f"{self.order}{layout}", *values)

    def table(self, ids: t.Sequence[Entry]) -> bytes:
        rows = [self.pack("6IQ", e.vendor, e.device, ANY, ANY, e.class_code, e.class_mask, 7) for e in ids] + [bytes(32)]
        overrides = [e.override for e in ids] + [0]
        return b"".join(
            row + (self.pack("II", override, 0) if self.id_size == 40 else b"")
            for row, override in zip(rows, overrides)  # noqa: B905 - Python 3.9 runs this too
        )

    def file(self) -> bytes:
        names = b"\0" + b"".join(name.encode() + b"\0" for name in (*self.sections, ".shstrtab"))
        everything = {**self.sections, ".shstrtab": (STRINGS, 0, names, 0, 0)}
        body, rows = b"", [bytes(64)]
        for name, (kind, flags, content, link, info) in everything.items():
            place = names.index(b"\0" + name.encode() + b"\0") + 1
            rows.append(self.pack("IIQQQQIIQQ", place, kind, flags, 0, 64 + len(body), len(content), link, info, 8, 0))
            body += content.ljust(-(-len(content) // 8) * 8, b"\0")
        identity = b"\x7fELF" + bytes((2, 2 if self.big_endian else 1, 1)) + bytes(9)
        header = self.pack("HHIQQQIHHHHHH", 1, self.machine[0], 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, len(rows), len(rows) - 1)
        return identity + header + body + b"".join(rows)


def driver_file(
    release: str,
    drivers: t.Sequence[Driver],
    *,
    machine: tuple[int, int] = X86_64,
    big_endian: bool = False,
    id_size: int = 40,
    aliases: t.Sequence[str] | None = None,
    announced: t.Mapping[str, t.Sequence[Entry]] | None = None,
    imports: t.Sequence[str] = ("__pci_register_driver",),
    sections: t.Mapping[str, bytes] | None = None,
    name_section: int = 2,
    code: bytes = b"\x90" * 16,
    cut: int = 0,
    **fields: str,
) -> bytes:
    """A module with these drivers.  ``announced`` are further tables, by symbol, that no driver of the file points to."""
    out = Assembly(machine, big_endian, id_size)
    strings, tables, data = b"\0", b"", b""
    symbols: list[tuple[str, int, int, int]] = [("", 1, 0, 0), ("", 2, 0, 0), ("", 3, 0, 0)]
    pointers: list[tuple[int, int, int]] = []
    for symbol, ids in (announced or {}).items():
        symbols.append((symbol, 3, len(tables), len(out.table(ids))))
        tables += out.table(ids)
    for driver in drivers:
        start = len(data) + driver.node
        # Name from .rodata.str, table from .rodata, probe() from .text.
        pointers += [(start, name_section, len(strings) if name_section == 2 else 0), (start + 8, 3, len(tables))]
        pointers += [(start + 16, 1, 0)] if driver.probe else []
        if driver.symbol:
            symbols.append((driver.symbol, 3, len(tables), len(out.table(driver.ids))))
        strings += driver.name + b"\0"
        tables += out.table(driver.ids)
        body = bytearray(driver.node + STRUCT)
        body[driver.node + PROBE_TYPE : driver.node + PROBE_TYPE + 4] = out.pack("I", driver.probe_type)
        data += bytes(body[: driver.node + driver.size])
    symbols += [(name, 0, 0, 0) for name in imports]
    relocations = b"".join(out.pack("QQq", at, (section << 32) | machine[1], addend) for at, section, addend in pointers)
    if aliases is None:
        told = [entry for driver in drivers if driver.symbol for entry in driver.ids]
        told += [entry for ids in (announced or {}).values() for entry in ids]
        aliases = [entry.alias for entry in told]
    lines = [f"vermagic={release} SMP preempt mod_unload modversions ", *(f"alias={alias}" for alias in aliases)]
    lines += [f"{key}={value}" for key, value in fields.items()]
    names = b"\0" + b"".join(name.encode() + b"\0" for name, *_rest in symbols if name)
    rows = bytes(24) + b"".join(
        out.pack("IBBHQQ", names.index(b"\0" + name.encode() + b"\0") + 1 if name else 0, 0, 0, section, value, size)
        for name, section, value, size in symbols
    )
    out.sections = {
        ".text": (PROGBITS, CODE, code, 0, 0),
        ".rodata.str1.1": (PROGBITS, TABLE, strings, 0, 0),
        ".rodata": (PROGBITS, TABLE, tables[: len(tables) - cut], 0, 0),
        ".data": (PROGBITS, DATA, data, 0, 0),
        ".rela.data": (RELOCATIONS, 0, relocations, 6, 4),
        ".symtab": (SYMBOLS, 0, rows, 7, 0),
        ".strtab": (STRINGS, 0, names, 0, 0),
        ".modinfo": (PROGBITS, TABLE, "\0".join(lines).encode() + b"\0", 0, 0),
        **{name: (PROGBITS, TABLE, content, 0, 0) for name, content in (sections or {}).items()},
    }
    return out.file()

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PCI drivers in a module's file: each `struct pci_driver` in its data, with its name and ID table.

In every version of `struct pci_driver` (include/linux/pci.h) the field `name` is directly followed by `id_table`, and that by
`probe`.  The file has relocations in place of addresses: the one of `id_table` points to a table for which there is a symbol
(MODULE_DEVICE_TABLE() in include/linux/module.h), the one before it to the name.
"""

from __future__ import annotations

import dataclasses
import re
import struct
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf import Elf, NotElfError, Place
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import ANY, PciDriver, PciId

POINTER = 8
MOST_TABLES, MOST_ENTRIES = 1024, 4096
"""Tables of a module's file, and devices in one: ten times what the largest driver has."""
MOST_DEVICES = 1 << 16
"""Devices of all drivers of a module: each is an object, and many drivers can refer to one table."""
# MODULE_DEVICE_TABLE() before Linux 6.14; since 6.14; and since 6.16, with the module's name.
TABLE_SYMBOL = re.compile(r"__mod_(?:pci__\w+_device_table|device_table__(?:kmod_\w+?__)?pci__\w+)")
# Bytes of struct pci_device_id with `override_only` (Linux 5.15 and later, and RHEL 9) and without it.
ENTRY_SIZES = (40, 32)
VFIO_OVERRIDE = 1
"""PCI_ID_F_VFIO_DRIVER_OVERRIDE."""
NAME = re.compile(r"(?!\s)[^/\x00-\x1f\x7f]{1,63}")
"""A driver's name that sysfs accepts: without a slash.  One existing name is "CAFÉ NAND"."""
# Offset of driver.probe_type from id_table: eleven pointers up to `driver`, then name, bus, owner, mod_name and suppress_bind_attrs
# in it.  Valid since `sriov_get_vf_total_msix` was added (Linux 5.13).
PROBE_TYPE = POINTER * 12 + 36
PREFER_ASYNCHRONOUS, FORCE_SYNCHRONOUS = 1, 2
REGISTERS = re.compile(r"(?!__platform).*(?:register_driver|register_extension|driver_register)")
"""Functions that register a driver, directly or through another module (`saa7146_register_extension`)."""


@dataclasses.dataclass(frozen=True)
class Tables:
    """The PCI drivers in a module's file, in the order of the file.

    ``complete`` says whether these are all: every alias of the module comes from the table of one of them, or the module
    registers no driver and has its tables only in order to be loaded.
    """

    drivers: tuple[PciDriver, ...] = ()
    synchronous: frozenset[str] = frozenset()
    """The names of drivers that no option can make asynchronous (PROBE_FORCE_SYNCHRONOUS)."""
    complete: bool = True


def read_tables(elf: Elf, aliases: t.Iterable[str]) -> Tables:
    """The drivers of a module with these aliases.  Raises NotElfError if the file is inconsistent."""
    announced = frozenset(_plain(entry) for alias in aliases for entry in (PciId.from_alias(alias),) if entry is not None)
    if not announced:
        return Tables()
    tables: dict[Place, tuple[PciId, ...]] = {}
    left = _Left(MOST_DEVICES)
    for place in _exported(elf):
        found = _entries(elf, place, announced)
        if found is not None:
            tables[place] = left.take(found)
    drivers: list[PciDriver] = []
    synchronous: set[str] = set()
    for index, section in enumerate(elf.sections):
        if not section.name.startswith(".data"):
            continue
        for offset, name, entries in _candidates(elf, index, tables, announced):
            kind = _probe_type(elf, Place(index, offset))
            drivers.append(PciDriver(name, left.take(entries), kind == PREFER_ASYNCHRONOUS))
            if kind == FORCE_SYNCHRONOUS:
                synchronous.add(name)
    wanted = {_plain(entry) for driver in drivers for entry in driver.ids}
    complete = announced <= wanted or bool(drivers and tables) or not any(map(REGISTERS.fullmatch, elf.undefined()))
    return Tables(tuple(drivers), frozenset(synchronous), complete)


class _Left:
    """How many devices may still be kept."""

    def __init__(self, most: int) -> None:
        self._left = most

    def take(self, entries: tuple[PciId, ...]) -> tuple[PciId, ...]:
        """The entries.  Raises NotElfError if they are too many."""
        self._left -= len(entries) + 1
        if self._left < 0:
            raise NotElfError(f"its drivers have more than {MOST_DEVICES} devices")
        return entries


def _exported(elf: Elf) -> frozenset[Place]:
    """The tables that have a symbol."""
    found: set[Place] = set()
    for name, place, _size in elf.symbols("__mod_"):
        if TABLE_SYMBOL.fullmatch(name):
            found.add(place)
        if len(found) > MOST_TABLES:
            raise NotElfError(f"it has more than {MOST_TABLES} tables of devices")
    return frozenset(found)


def _candidates(
    elf: Elf, section: int, tables: t.Mapping[Place, tuple[PciId, ...]], announced: frozenset[PciId]
) -> t.Iterator[tuple[int, str, tuple[PciId, ...]]]:
    """The offset of each `id_table` in a section, the driver's name, and the table's entries."""
    leads, code, tried = elf.pointers(section), elf.code, 0
    for offset, table in sorted(leads.items()):
        known = tables.get(table)
        before, behind = leads.get(offset - POINTER), leads.get(offset + POINTER)
        if before is None or before.section in code:
            continue
        # A table without a symbol is accepted if `probe` points to code, or if it has only IDs from the module's aliases.
        probes = behind is not None and behind.section in code
        if known is None and (table.section in code or (tables and not probes)):
            continue
        name = _name(elf, before)
        if name is None:
            continue
        if known is not None:
            yield offset, name, known
            continue
        tried += 1
        if tried > MOST_TABLES:
            raise NotElfError(f"it has more than {MOST_TABLES} pointers that may be a driver's")
        # A table without a symbol: of a helper driver that is not for udev, or of a module whose symbols were stripped.
        found = _entries(elf, table, announced)
        if found and (
            {entry.vendor for entry in found} <= {entry.vendor for entry in announced}
            if probes
            else {_plain(entry) for entry in found} <= announced
        ):
            yield offset, name, found


def _name(elf: Elf, place: Place) -> str | None:
    found = elf.string(place)
    try:
        name = "" if found is None else found.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return name if NAME.fullmatch(name) else None


def _entries(elf: Elf, table: Place, announced: frozenset[PciId]) -> tuple[PciId, ...] | None:
    """The entries of a table up to the empty last one; None if the bytes are not a table."""
    content = elf.section_view(table.section)
    read = [entries for size in ENTRY_SIZES for entries in (_entries_of(content, table.offset, size, elf.order),) if entries is not None]
    # A table may be plausible with either entry size; the right one agrees with the aliases, which modpost wrote from it.
    return next((entries for entries in read if {_plain(entry) for entry in entries} <= announced), read[0] if read else None)


def _entries_of(content: memoryview, start: int, size: int, order: str) -> tuple[PciId, ...] | None:
    layout = struct.Struct(f"{order}6IQ{'2I' if size > 32 else ''}")
    entries: list[PciId] = []
    if start < 0:
        return None
    for at in range(start, len(content) - layout.size + 1, layout.size):
        vendor, device, subvendor, subdevice, code, mask, _data, *override = layout.unpack_from(content, at)
        if not (vendor or subvendor or mask):
            # The kernel stops at such an entry too (pci_match_id() in drivers/pci/pci-driver.c).
            return tuple(entries)
        if not _plausible((vendor, device, subvendor, subdevice), override) or len(entries) >= MOST_ENTRIES:
            return None
        # A device's class has 24 bits.
        code, mask = code & 0xFFFFFF, mask & 0xFFFFFF
        entries.append(PciId(vendor, device, subvendor, subdevice, code, mask, bool(override and override[0] & VFIO_OVERRIDE)))
    return None


def _plausible(numbers: tuple[int, ...], override: t.Sequence[int]) -> bool:
    return all(number <= 0xFFFF or number == ANY for number in numbers) and (
        not override or (override[0] <= VFIO_OVERRIDE and override[1] == 0)
    )


def _plain(entry: PciId) -> PciId:
    """The entry as an alias can express it: with whole bytes of the class only."""
    if not entry.class_mask and not entry.class_code:
        return entry
    mask = sum(0xFF << shift for shift in (16, 8, 0) if entry.class_mask >> shift & 0xFF == 0xFF)
    return dataclasses.replace(entry, class_code=entry.class_code & mask, class_mask=mask)


def _probe_type(elf: Elf, id_table: Place) -> int:
    content = elf.section_view(id_table.section)
    at = id_table.offset + PROBE_TYPE
    return int(struct.unpack_from(f"{elf.order}I", content, at)[0]) if 0 <= at <= len(content) - 4 else 0

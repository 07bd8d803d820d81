# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One PCI function of a host, from sysfs: what it is, where it is, and its like with nothing behind the registers."""

from __future__ import annotations

import re
import struct
import typing as t

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.function import PciFunction
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.parts import (
    BAR_SIZES,
    MSIX_ENTRY_SIZE,
    Bar,
    Capabilities,
    Msix,
)
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user.config_space import (
    CAP_MSI,
    CAP_MSIX,
    CAP_PCIE,
    CAP_PM,
    CAPABILITY_POINTER,
    STATUS,
    STATUS_HAS_CAPABILITIES,
)

Listed = t.Mapping[str, t.Any]
"""A function as the list has it that `rehearsal_files` writes."""
_ROOT_BUS = re.compile(r"pci([0-9a-f]{4,}):([0-9a-f]{2})")
#: linux/ioport.h: what the file `resource` says of a BAR.
_IO, _MEMORY, _PREFETCHABLE, _SIZE_64 = 0x100, 0x200, 0x2000, 0x100000
_HEADER_TYPE, _BRIDGE, _SECONDARY = 0x0E, 1, 0x19
#: Where the header ends: more is there for root alone.
_HEADER = 64
#: Bytes of a window: the machine's firmware has to find room for all of them, and no driver has been asked yet when it matters.
LARGEST_WINDOW = 256 << 20
LARGEST_WINDOW_32 = 16 << 20
#: linux/pci_regs.h: kinds of ports in the PCI Express capability, and the bit for function level resets.
ROOT_PORT, UPSTREAM_PORT, DOWNSTREAM_PORT, EXPRESS_TO_CONVENTIONAL = 4, 5, 6, 7
_FLR = 1 << 28
#: linux/serial_reg.h: the line status of a 16550, with both bits for what has been sent, in the word that it is read with.
_SERIAL_PORT, _PORT_BYTES = 0x0700, 8
_LINE_STATUS, _NOTHING_TO_SEND = 4, 0x60 << 8
#: Bytes of a window with room for a table and its pending bits.
_ROOM = 0x2000


def chain_of(path: str) -> tuple[str, ...]:
    """`pci0000:3a`, `0000:3a:00.0`, `0000:3b:00.0`: the root bus, the bridges above, and the function itself; empty if it is on no bus.

    A root bus may be one that a function makes, as those of Intel's VMD.
    """
    steps = path.strip("/").split("/")
    roots = [index for index, step in enumerate(steps) if _ROOT_BUS.fullmatch(step)]
    return tuple(steps[roots[-1] :]) if roots and roots[-1] + 1 < len(steps) else ()


def root_number(root: str) -> tuple[str, int]:
    """The domain and the number of the root bus `pci0000:3a`."""
    found = _ROOT_BUS.fullmatch(root)
    if found is None:
        raise ValueError(root)
    return found[1], int(found[2], 16)


def place_on_bus(address: str) -> str:
    return address.rpartition(":")[2]


def is_bridge(one: Listed) -> bool:
    """Whether a bus is behind it."""
    configuration = _configuration(one)
    return len(configuration) > _SECONDARY and configuration[_HEADER_TYPE] & 0x7F == _BRIDGE


def secondary(one: Listed) -> int:
    """The number of the bus behind a bridge."""
    return _configuration(one)[_SECONDARY]


def port_kind(one: Listed) -> int | None:
    """The kind of a port of PCI Express; None for conventional PCI. Where only the header could be read, it counts as a root port."""
    configuration = _configuration(one)
    if len(configuration) <= _HEADER:
        return ROOT_PORT
    at = _capability_places(configuration).get(CAP_PCIE)
    return None if at is None else configuration[at + 2] >> 4


def _configuration(one: Listed) -> bytes:
    return bytes.fromhex(str(one["configuration"]))


def emulated(one: Listed) -> PciFunction:
    """The same identity, class, windows and kinds of capabilities, with nothing behind them.  Raises FunctionError."""
    bars = tuple(_bars(str(one["resource"])))
    configuration = _configuration(one)
    places = _capability_places(configuration)
    return PciFunction(
        vendor=one["vendor"],
        device=one["device"],
        subsystem_vendor=one["subsystem_vendor"],
        subsystem_device=one["subsystem_device"],
        class_code=one["class"],
        revision=one["revision"],
        bars=bars,
        registers=_registers(one["class"], bars),
        capabilities=Capabilities(
            pm=CAP_PM in places,
            msi=_msi(configuration, places[CAP_MSI]) if CAP_MSI in places else 0,
            msix=_msix(configuration, places[CAP_MSIX], bars) if CAP_MSIX in places else None,
            pcie=CAP_PCIE in places,
        ),
        flr=CAP_PCIE in places and bool(_number(configuration, places[CAP_PCIE] + 4, "<I") & _FLR),
    )


def _registers(class_code: int, bars: t.Sequence[Bar]) -> dict[int, dict[int, int]]:
    """Of a serial port, on which UEFI firmware writes, that it has nothing left to send: without that each character takes minutes."""
    is_port = class_code >> 8 == _SERIAL_PORT and any(one.index == 0 and one.size >= _PORT_BYTES for one in bars)
    return {0: {_LINE_STATUS: _NOTHING_TO_SEND}} if is_port else {}


def _bars(resource: str) -> t.Iterator[Bar]:
    """From the first six lines of `resource`: start, end and flags of each."""
    for index, line in enumerate(resource.split("\n")[:6]):
        words = line.split()
        if len(words) != 3:
            continue
        start, end, flags = (int(word, 16) for word in words)
        if not end or not flags & (_IO | _MEMORY):
            continue
        kind = "io" if flags & _IO else ("mem64" if flags & _SIZE_64 else "mem32")
        least, most = BAR_SIZES[kind]
        most = min(most, LARGEST_WINDOW if kind == "mem64" else LARGEST_WINDOW_32)
        size = min(max(1 << (end - start).bit_length(), least), most)
        yield Bar(index, size, kind, bool(flags & _PREFETCHABLE) and kind != "io")


def _number(configuration: bytes, at: int, form: str) -> int:
    """0 behind the end of what could be read."""
    if at + struct.calcsize(form) > len(configuration):
        return 0
    (found,) = struct.unpack_from(form, configuration, at)
    return int(found)


def _msi(configuration: bytes, at: int) -> int:
    """How many vectors it can have."""
    return 1 << min(_number(configuration, at + 2, "<H") >> 1 & 0b111, 5)


def _msix(configuration: bytes, at: int, bars: tuple[Bar, ...]) -> Msix | None:
    """Its vectors at their places, or one of them where these are not in a window as it is here."""
    table, pending = (_number(configuration, at + offset, "<I") for offset in (4, 8))
    vectors = (_number(configuration, at + 2, "<H") & 0x7FF) + 1
    known = {one.index: one for one in bars if one.kind != "io"}
    window = known.get(table & 0b111)
    spans = ((table & ~0b111, vectors * MSIX_ENTRY_SIZE), (pending & ~0b111, (vectors + 63) // 64 * 8))
    if window is not None and table & 0b111 == pending & 0b111 and all(start + size <= window.size for start, size in spans):
        (first, its_size), (second, other_size) = sorted(spans)
        if first + its_size <= second and other_size:
            return Msix(vectors, window.index, spans[0][0], spans[1][0])
    roomy = next((one for one in known.values() if one.size >= _ROOM), None)
    return None if roomy is None else Msix(vectors=1, in_bar=roomy.index, table=0, pending=0x1000)


def _capability_places(configuration: bytes) -> dict[int, int]:
    """Where each capability is, as pci_find_capability() goes through them."""
    found: dict[int, int] = {}
    if len(configuration) < 64 or not struct.unpack_from("<H", configuration, STATUS)[0] & STATUS_HAS_CAPABILITIES:
        return found
    at = configuration[CAPABILITY_POINTER] & 0xFC
    for _capability in range(48):
        if at < 0x40 or at + 2 > len(configuration):
            break
        found.setdefault(configuration[at], at)
        at = configuration[at + 1] & 0xFC
    return found

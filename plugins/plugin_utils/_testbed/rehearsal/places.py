# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's PCI functions, each at its own address in a machine that QEMU can make, and which of them it cannot."""

from __future__ import annotations

import re
import struct
import typing as t
from dataclasses import dataclass, field

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.function import FunctionError, PciFunction
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.parts import BAR_SIZES, Bar, Capabilities, Msix
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.topology import Function, Placement
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user.config_space import (
    CAP_MSI,
    CAP_MSIX,
    CAP_PCIE,
    CAP_PM,
    CAPABILITY_POINTER,
    STATUS,
    STATUS_HAS_CAPABILITIES,
)

_ADDRESS = re.compile(r"([0-9a-f]{4,}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])")
_ROOT = "pci0000:00"
_ROOT_BUS = re.compile(r"pci0000:([0-9a-f]{2})")
#: linux/ioport.h: what the file `resource` says of a BAR.
_IO, _MEMORY, _PREFETCHABLE, _SIZE_64 = 0x100, 0x200, 0x2000, 0x100000
_HEADER_TYPE, _BRIDGE, _SECONDARY = 0x0E, 1, 0x19
#: Bytes of a window: the machine's firmware has to find room for all of them, and no driver has been asked yet when it matters.
LARGEST_WINDOW = 256 << 20
LARGEST_WINDOW_32 = 16 << 20
#: q35 has a host bridge at slot 00 and a chipset at slot 1f.
_OWN_SLOTS = ("00", "1f")
MOST_FUNCTIONS = 128


class Port(t.NamedTuple):
    """A root port, and the number of the bus behind it."""

    name: str
    bus: str
    address: str
    secondary: int


@dataclass
class Places:
    """``words`` make the buses, ``ports`` are on them; ``placements`` are by address.

    ``left_out`` says by address why a function is not there.
    """

    words: list[str] = field(default_factory=list)
    ports: list[Port] = field(default_factory=list)
    placements: dict[str, Placement] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    free_slots: list[str] = field(default_factory=list)


def place(functions: t.Sequence[t.Mapping[str, t.Any]]) -> Places:
    """Where each function goes; ``functions`` are those of the list that `rehearsal_files` writes."""
    places = Places()
    taken = {_slot(one) for one in functions if str(one["path"] or "").count("/") == 3 and _ROOT in str(one["path"])}
    places.free_slots = [f"{slot:02x}" for slot in range(0x1E, 0, -1) if f"{slot:02x}" not in taken]
    buses: dict[str, str] = {_ROOT: "pcie.0"}
    for one in sorted(functions, key=lambda one: (str(one["path"]).count("/"), str(one["address"]))):
        why = _put(places, one, buses)
        if why:
            places.left_out[str(one["address"])] = why
    places.words += _port_words(places)
    for address in sorted(places.placements):
        first = f"{address[:-1]}0"
        if first not in places.placements and first not in buses:
            # Nobody looks at the other functions of a device that has no first one.
            del places.placements[address]
            places.left_out[address] = f"{first} is not in the machine, without which the others of its slot are not found"
    return places


def _put(places: Places, one: t.Mapping[str, t.Any], buses: dict[str, str]) -> str:
    """Put it in its place, or say why not."""
    address, chain = str(one["address"]), str(one["path"] or "").strip("/").split("/")[1:]
    if one["physical_function"]:
        return "it is a virtual function, which something makes while the host runs"
    if not address.startswith("0000:"):
        return "it is in another PCI domain than 0000, which the machine does not have"
    if len(chain) < 2 or not _ROOT_BUS.fullmatch(chain[0]):
        return "it is not below a PCI root bus"
    if len(places.placements) >= MOST_FUNCTIONS:
        return f"the machine has {MOST_FUNCTIONS} functions already"
    root, above = chain[0], chain[-2]
    on_root = len(chain) == 2
    if on_root and root == _ROOT and _slot(one) in _OWN_SLOTS:
        return f"the machine has a device of its own at slot {_slot(one)} of the first bus"
    if root not in buses and not _add_root_bus(places, root, buses):
        return "the machine has no slot left for another root bus"
    bus = buses.get(root if on_root else above)
    if bus is None:
        return f"the bridge {above} is not in the machine"
    if _is_bridge(one):
        return _put_bridge(places, one, bus, on_root, buses)
    try:
        function = emulated(one)
    except FunctionError as error:
        return f"it cannot be emulated: {error}"
    placement = Placement(Function(_name(address), function, "", (), True, ""), bus, "", _place_on_bus(address), True)
    places.placements[address] = placement
    return ""


def _add_root_bus(places: Places, root: str, buses: dict[str, str]) -> bool:
    if not places.free_slots:
        return False
    number = root[-2:]
    buses[root] = f"root-{number}"
    places.words += ["-device", f"pxb-pcie,id=root-{number},bus_nr=0x{number},bus=pcie.0,addr={places.free_slots.pop()}"]
    return True


def _put_bridge(places: Places, one: t.Mapping[str, t.Any], bus: str, on_root: bool, buses: dict[str, str]) -> str:
    if not on_root:
        return "it is a bridge behind a bridge, which the machine does not have"
    address = str(one["address"])
    buses[address] = f"port-{_name(address)}"
    secondary = bytes.fromhex(str(one["configuration"]))[_SECONDARY]
    places.ports.append(Port(buses[address], bus, address, secondary))
    return "the machine has a bridge of its own there"


def _port_words(places: Places) -> t.Iterator[str]:
    """Root ports. The machine's firmware numbers the buses behind them in the order of their slots, and leaves out what a port reserves."""
    chassis = 0
    for bus in dict.fromkeys(port.bus for port in places.ports):
        ports = sorted((port for port in places.ports if port.bus == bus), key=lambda port: port.address)
        last = int(ports[0].address.split(":")[1], 16)
        if ports[0].secondary > last + 1:
            slot = next((one for one in reversed(places.free_slots) if one < _slot_of(ports[0].address)), None)
            if slot is not None:
                places.free_slots.remove(slot)
                ports.insert(0, Port(f"gap-{bus.replace('.', '-')}", bus, f"{ports[0].address[:8]}{slot}.0", last + 1))
        for number, port in enumerate(ports):
            reserved = ports[number + 1].secondary - port.secondary - 1 if number + 1 < len(ports) else 0
            chassis += 1
            # SeaBIOS goes round and round where nothing is reserved in so many words.
            reserve = f",bus-reserve={reserved}" if reserved > 0 else ""
            where = _place_on_bus(port.address)
            yield "-device"
            yield f"pcie-root-port,id={port.name},bus={bus},chassis={chassis},slot={chassis},addr={where},multifunction=on{reserve}"


def emulated(one: t.Mapping[str, t.Any]) -> PciFunction:
    """The same identity, class, windows and kinds of capabilities, with nothing behind them.  Raises FunctionError."""
    bars = tuple(_bars(str(one["resource"])))
    return PciFunction(
        vendor=one["vendor"],
        device=one["device"],
        subsystem_vendor=one["subsystem_vendor"],
        subsystem_device=one["subsystem_device"],
        class_code=one["class"],
        revision=one["revision"],
        bars=bars,
        capabilities=_capabilities(bytes.fromhex(str(one["configuration"])), bars),
    )


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


def _capabilities(configuration: bytes, bars: tuple[Bar, ...]) -> Capabilities:
    found = _capability_places(configuration)
    msix = None
    memory = next((one for one in bars if one.kind != "io" and one.size >= 0x2000), None)
    if CAP_MSIX in found and memory is not None:
        msix = Msix(vectors=1, in_bar=memory.index, table=0, pending=0x1000)
    return Capabilities(pm=CAP_PM in found, msi=1 if CAP_MSI in found else 0, msix=msix, pcie=CAP_PCIE in found)


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


def _is_bridge(one: t.Mapping[str, t.Any]) -> bool:
    configuration = bytes.fromhex(str(one["configuration"]))
    return len(configuration) > _HEADER_TYPE and configuration[_HEADER_TYPE] & 0x7F == _BRIDGE


def _slot(one: t.Mapping[str, t.Any]) -> str:
    return _slot_of(str(one["address"]))


def _slot_of(address: str) -> str:
    return address.rpartition(":")[2].partition(".")[0]


def _place_on_bus(address: str) -> str:
    return address.rpartition(":")[2]


def _name(address: str) -> str:
    return "f" + address.replace(":", "-").replace(".", "-")

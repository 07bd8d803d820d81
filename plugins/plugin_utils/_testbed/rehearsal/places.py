# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each PCI function of a host is in a machine that QEMU can make: at its own address, at another one, or nowhere, and why."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.function import FunctionError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.topology import Function, Placement
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.bridges import (
    FIRST,
    FURTHER,
    ROOT_PORT,
    UPSTREAM,
    Bus,
    Words,
    model,
)
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.host_function import (
    Listed,
    chain_of,
    emulated,
    is_bridge,
    place_on_bus,
    port_kind,
    root_number,
    secondary,
)

MACHINE_ROOT = "pci0000:00"
_MACHINE_DOMAIN = "0000"
#: What q35 has there: its host bridge, and the functions of its chipset.
_OWN_PLACES = frozenset((*(f"00.{number}" for number in range(8)), "1f.0", "1f.2", "1f.3"))
_OWN_SLOTS = (0x00, 0x1F)
_LAST_SLOT = 0x1F
#: PCI's classes of bridges from the processor, and to ISA: the machine has both of its own.
_CHIPSET_BRIDGES = (0x0600, 0x0601)
#: Of which a host can have hundreds that nothing claims: memory, bridges, parts of the board, and counters of the processor.
_CHIPSET_CLASSES = (0x05, 0x06, 0x08, 0x11)
MOST_FUNCTIONS = 128
_MOST_BUSES = 256
_FUNCTIONS = 8


@dataclass
class MachinePlaces:
    """``words`` make the buses; ``placements`` are by the host's address, and ``paths`` say where each is in the machine.

    ``left_out`` says by address why a function is not there, ``moved`` why it is at another address than on the host; ``own`` are the paths
    of what the machine has of its own instead of those that are left out. ``disk_slot`` is one of the first bus that nothing else has.
    """

    words: list[str] = field(default_factory=list)
    placements: dict[str, Placement] = field(default_factory=dict)
    paths: dict[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    own: dict[str, tuple[str, ...]] = field(default_factory=dict)
    disk_slot: str | None = None

    def note(self, absent: t.Mapping[str, str], same: t.Sequence[t.Container[str]]) -> None:
        """What boots have shown: which functions were ``absent`` in one of them, and of which the machine has its own in each."""
        for address in self.own:
            if same and all(address in one for one in same):
                del self.left_out[address]
        self.left_out.update(absent)


def place(functions: t.Sequence[Listed]) -> MachinePlaces:
    """Where each function goes; ``functions`` are those of the list that `rehearsal_files` writes."""
    plan = _Plan.of(functions)
    for one in sorted(functions, key=lambda one: (not _has_domain(one), len(_chain(one)), str(one["address"]))):
        why = plan.put(one)
        if why:
            plan.places.left_out[str(one["address"])] = why
    return plan.done()


def machine_path(path: str) -> tuple[str, ...]:
    """A path in the machine's sysfs in the terms of `Places.paths`: its root bus and the place on each bus below."""
    chain = chain_of(path)
    return (*chain[:1], *(place_on_bus(one) for one in chain[1:]))


def _chain(one: Listed) -> tuple[str, ...]:
    return chain_of(str(one["path"] or ""))


def _has_domain(one: Listed) -> bool:
    return str(one["address"]).startswith(f"{_MACHINE_DOMAIN}:")


def _is_on_first_bus(one: Listed) -> bool:
    return len(_chain(one)) == 2 and _chain(one)[0] == MACHINE_ROOT


def _slot(address: str) -> int:
    return int(place_on_bus(address).partition(".")[0], 16)


def _spans(functions: t.Sequence[Listed]) -> dict[str, int]:
    """The last bus number in use below each root bus of the host."""
    spans: dict[str, int] = {MACHINE_ROOT: 0}
    for one in functions:
        if _chain(one):
            own = int(str(one["address"]).split(":")[1], 16)
            spans[_chain(one)[0]] = max(spans.get(_chain(one)[0], 0), own, secondary(one) if is_bridge(one) else 0)
    return spans


def _too_many(functions: t.Sequence[Listed]) -> frozenset[str]:
    """Those for which there is no room; parts of the chipset that are not on the first bus are the last to get some."""
    wanted = [one for one in functions if not is_bridge(one) and not one["physical_function"]]
    wanted.sort(key=lambda one: (int(one["class"]) >> 16 in _CHIPSET_CLASSES and not _is_on_first_bus(one), str(one["address"])))
    return frozenset(str(one["address"]) for one in wanted[MOST_FUNCTIONS:])


@dataclass
class _Plan:
    """``buses`` by the name of the root bus or the bridge on the host; ``where``: the bus in the machine of each function."""

    places: MachinePlaces
    spans: dict[str, int]
    buses: dict[str, Bus]
    roots: list[Bus]
    too_many: frozenset[str]
    where: dict[str, Bus] = field(default_factory=dict)
    own_bridges: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    spare: Bus | None = None
    spare_places: int = 0

    @classmethod
    def of(cls, functions: t.Sequence[Listed]) -> _Plan:
        first = Bus("pcie.0", FIRST, 0, slots=set(_OWN_SLOTS))
        first.slots |= {_slot(str(one["address"])) for one in functions if _is_on_first_bus(one)}
        for_disk = first.free_between(0, _LAST_SLOT)[-1:]
        first.slots |= set(for_disk)
        places = MachinePlaces(disk_slot=f"{for_disk[0]:02x}" if for_disk else None)
        return cls(places, _spans(functions), {MACHINE_ROOT: first}, [first], _too_many(functions))

    def put(self, one: Listed) -> str:
        """Put it in its place, or say why not."""
        address, chain = str(one["address"]), _chain(one)
        if one["physical_function"]:
            return f"it is a virtual function, which the driver of {one['physical_function']} makes while the host runs"
        if not chain:
            return "it is not below a PCI root bus"
        if address in self.too_many:
            return f"the machine has {MOST_FUNCTIONS} functions already"
        if chain[0] not in self.buses and not self._add_host_root(chain[0]):
            return "the machine has no slot or number left for another root bus"
        if chain[-2] not in self.buses:
            return f"the bridge {chain[-2]} is not in the machine"
        return self._put_bridge(one, self.buses[chain[-2]]) if is_bridge(one) else self._put_function(one, self.buses[chain[-2]])

    def _put_function(self, one: Listed, bus: Bus) -> str:
        address, where = str(one["address"]), place_on_bus(str(one["address"]))
        is_own = bus.kind == FIRST and where in _OWN_PLACES
        if (is_own or bus.kind == FURTHER) and int(one["class"]) >> 8 in _CHIPSET_BRIDGES:
            if is_own:
                self.places.own[address] = (*bus.path, where)
            return "the machine has bridges of the chipset of its own"
        if is_own:
            return self._put_elsewhere(one, f"the machine has a device of its own at {where} of the first bus")
        if bus.kind == FURTHER:
            return self._put_elsewhere(one, "further root buses of the machine have bridges alone")
        if bus.has_one_slot and _slot(address):
            return self._put_elsewhere(one, "behind a port the kernel looks at slot 00 alone")
        return self._emulate(one, bus, where, "" if _has_domain(one) else f"the machine has the PCI domain {_MACHINE_DOMAIN} alone")

    def _emulate(self, one: Listed, bus: Bus, where: str, moved: str) -> str:
        address = str(one["address"])
        try:
            function = emulated(one)
        except FunctionError as error:
            return f"it cannot be emulated: {error}"
        self.places.placements[address] = Placement(Function(_name(address), function, "", (), True, ""), bus.name, "", where, True)
        self.where[address] = bus
        if moved:
            self.places.moved[address] = moved
        return ""

    def _put_elsewhere(self, one: Listed, moved: str) -> str:
        """On a bus between the ports of a switch, where all slots are looked at."""
        if self.spare is None:
            root = self._add_root(self._free_number(3))
            if root is None:
                return f"{moved}, and no slot or number is left for another bus"
            port = self._bridge("spare-port", ROOT_PORT, root.number + 1, root, "")
            self.spare = self._bridge("spare", UPSTREAM, root.number + 2, port, "00.0")
        if self.spare_places == (_LAST_SLOT + 1) * _FUNCTIONS:
            return f"{moved}, and no place is left"
        slot, number = divmod(self.spare_places, _FUNCTIONS)
        why = self._emulate(one, self.spare, f"{slot:02x}.{number}", moved)
        self.spare_places += not why
        return why

    def _add_host_root(self, root: str) -> bool:
        domain, number = root_number(root)
        wanted = number if domain == _MACHINE_DOMAIN else self._free_number(self.spans[root] - number + 1)
        bus = self._add_root(wanted)
        if bus is not None:
            self.buses[root] = bus
            if domain != _MACHINE_DOMAIN:
                self.spans[f"pci{_MACHINE_DOMAIN}:{bus.number:02x}"] = bus.number + self.spans[root] - number
        return bus is not None

    def _add_root(self, number: int | None) -> Bus | None:
        free = self.roots[0].free_between(0, _LAST_SLOT)
        if number is None or not free:
            return None
        # The last ones: lower ones may be wanted for numbers that the host leaves out.
        self.roots[0].slots.add(free[-1])
        bus = Bus(f"root-{number:02x}", FURTHER, number)
        self.extra += ["-device", f"{FURTHER},id={bus.name},bus_nr=0x{number:02x},bus=pcie.0,addr={free[-1]:02x}"]
        self.roots.append(bus)
        self.spans.setdefault(f"pci{_MACHINE_DOMAIN}:{number:02x}", number + 2)
        return bus

    def _free_number(self, length: int) -> int | None:
        """The highest number behind which as many are free."""
        own = {root: last for root, last in self.spans.items() if root_number(root)[0] == _MACHINE_DOMAIN}
        taken = {number for root, last in own.items() for number in range(root_number(root)[1], last + 1)}
        free = (number for number in range(_MOST_BUSES - length, 0, -1) if not taken.intersection(range(number, number + length)))
        return next(free, None)

    def _put_bridge(self, one: Listed, bus: Bus) -> str:
        address, where = str(one["address"]), place_on_bus(str(one["address"]))
        kind = model(port_kind(one), bus.kind)
        if kind is None or (bus.has_one_slot and _slot(address)):
            return "the machine has no bridge of its kind at such a place"
        if bus.kind == FIRST and where in _OWN_PLACES:
            return f"the machine has a device of its own at {where} of the first bus"
        bus.slots.add(_slot(address))
        root = _chain(one)[0]
        number = secondary(one) + self.buses[root].number - root_number(root)[1]
        self.buses[address] = self._bridge(f"port-{_name(address)}", kind, number, bus, where)
        self.own_bridges.append(address)
        return "the machine has a bridge of its own there"

    def _bridge(self, name: str, kind: str, number: int, above: Bus, where: str) -> Bus:
        behind = Bus(name, kind, number, above, where)
        above.below.append(behind)
        return behind

    def done(self) -> MachinePlaces:
        words = Words()
        self.places.words = [*self.extra, *(word for bus in self.roots for word in words.of(bus))]
        self.places.paths = {address: (*bus.path, self.places.placements[address].address) for address, bus in self.where.items()}
        self.places.own.update({address: self.buses[address].path for address in self.own_bridges})
        self._remove_unreachable()
        return self.places

    def _remove_unreachable(self) -> None:
        """Nobody looks at the other functions of a device that has no first one."""
        there = {*self.places.paths.values(), *(bus.path for bus in self.buses.values())}
        for address, path in sorted(self.places.paths.items()):
            first = (*path[:-1], f"{path[-1][:-1]}0")
            if first not in there and first != (MACHINE_ROOT, "1f.0"):
                del self.places.placements[address], self.places.paths[address]
                self.places.moved.pop(address, None)
                self.places.left_out[address] = f"{address[:-1]}0 is not in the machine, without which the others of its slot are not found"


def _name(address: str) -> str:
    return "f" + address.replace(":", "-").replace(".", "-")

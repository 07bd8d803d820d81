# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The buses of a machine, as QEMU has them, and the numbers that its firmware gives to them.

SeaBIOS goes through a bus in the order of its slots, and through what is behind a bridge before it goes on: each bus has the number
after the last one.  Where the host has left numbers out, a port reserves them, or a bridge with nothing behind it takes them.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from itertools import zip_longest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.host_function import (
    DOWNSTREAM_PORT,
    EXPRESS_TO_CONVENTIONAL,
    UPSTREAM_PORT,
)

ROOT_PORT, UPSTREAM, DOWNSTREAM, CONVENTIONAL = "pcie-root-port", "x3130-upstream", "xio3130-downstream", "pci-bridge"
#: The machine's first bus, and further ones, which QEMU lets have bridges alone.
FIRST, FURTHER = "first", "pxb-pcie"
_ROOTS = (FIRST, FURTHER)
_OF_ONE_SLOT = (ROOT_PORT, DOWNSTREAM)


@dataclass(eq=False)
class Bus:
    """``kind``: `FIRST`, `FURTHER`, or the model of the bridge that it is behind, which is at ``place`` (`1c.4`) of the bus ``above``.

    ``number`` is the wanted one; ``slots`` are those that are taken.
    """

    name: str
    kind: str
    number: int
    above: Bus | None = None
    place: str = ""
    slots: set[int] = field(default_factory=set)
    below: list[Bus] = field(default_factory=list)

    @property
    def has_one_slot(self) -> bool:
        return self.kind in _OF_ONE_SLOT

    @property
    def slot(self) -> int:
        return int(self.place.partition(".")[0], 16)

    @property
    def path(self) -> tuple[str, ...]:
        """As sysfs has it: the root bus, and the place of each bridge on the way."""
        return (f"pci0000:{self.number:02x}",) if self.above is None else (*self.above.path, self.place)

    def free_between(self, low: int, high: int) -> list[int]:
        return [slot for slot in range(low + 1, high) if slot not in self.slots]

    def order(self) -> None:
        """Bridges on further root buses get slots in the order of their numbers: the first function of their own may not be there."""
        self.below.sort(key=lambda one: (one.number if self.kind == FURTHER else 0, one.place))
        if self.kind == FURTHER:
            self.slots = {2 * index + 1 for index in range(len(self.below))}
            for index, one in enumerate(self.below):
                one.place = f"{2 * index + 1:02x}.0"
        for one in self.below:
            one.order()


def model(kind: int | None, above: str) -> str | None:
    """QEMU's device for a bridge of that kind of port on a bus of the kind ``above``; None if it has none."""
    if kind in (None, EXPRESS_TO_CONVENTIONAL) or above == CONVENTIONAL:
        return CONVENTIONAL
    if above in _ROOTS:
        return ROOT_PORT
    if kind == UPSTREAM_PORT and above in _OF_ONE_SLOT:
        return UPSTREAM
    return DOWNSTREAM if kind == DOWNSTREAM_PORT and above == UPSTREAM else None


@dataclass
class Words:
    """QEMU's words for all bridges below root buses; each chassis has another number."""

    chassis: int = 0

    def of(self, bus: Bus) -> list[str]:
        bus.order()
        words, _last = self._below(bus, bus.number)
        return words

    def _below(self, bus: Bus, last: int) -> tuple[list[str], int]:
        """The words for what is on the bus, and the last number that is given below it; ``last`` is the one before."""
        words: list[str] = []
        slot = -1
        for one, following in zip_longest(bus.below, bus.below[1:]):
            filling, last = self._gap(bus, bus.free_between(slot, one.slot), one.number - last - 1, last)
            its_number = last + 1
            inner, last = self._below(one, its_number)
            reserved = following.number - 1 - its_number if following is not None and one.kind == ROOT_PORT else 0
            # SeaBIOS goes round and round where no more is reserved than there is behind the port.
            reserved = reserved if its_number + reserved > last else 0
            last = max(last, its_number + reserved)
            words += [*filling, *self._bridge(bus, one.name, one.kind, one.place, reserved), *inner]
            slot = one.slot
        return words, last

    def _gap(self, bus: Bus, slots: t.Sequence[int], wanted: int, last: int) -> tuple[list[str], int]:
        """Bridges with nothing behind them that take numbers which the host leaves out; as many as there is room for."""
        if wanted <= 0 or not slots or bus.kind not in (*_ROOTS, UPSTREAM):
            return [], last
        if bus.kind in _ROOTS:
            return self._filler(bus, slots[0], ROOT_PORT, wanted - 1), last + wanted
        return [word for slot in slots[:wanted] for word in self._filler(bus, slot, DOWNSTREAM, 0)], last + min(wanted, len(slots))

    def _filler(self, bus: Bus, slot: int, kind: str, reserved: int) -> list[str]:
        bus.slots.add(slot)
        return self._bridge(bus, f"gap-{bus.name.replace('.', '-')}-{slot:02x}", kind, f"{slot:02x}.0", reserved)

    def _bridge(self, bus: Bus, name: str, kind: str, place: str, reserved: int) -> list[str]:
        self.chassis += 1
        number = {UPSTREAM: "", CONVENTIONAL: f",chassis_nr={self.chassis},shpc=off"}.get(
            kind, f",chassis={self.chassis},slot={self.chassis}"
        )
        reserve = f",bus-reserve={reserved}" if reserved > 0 else ""
        return ["-device", f"{kind},id={name},bus={bus.name},addr={place},multifunction=on{number}{reserve}"]

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many virtual functions a run was about to give to physical ones, and what becomes of that if it was killed in between."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.bind_journal import NUMBERS, OPERATION
from ansible_collections.vfio.variants.plugins.module_utils._core.host.journal import UNREADABLE, Journal
from ansible_collections.vfio.variants.plugins.module_utils._core.host.recovery import Recovered

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory


@dataclasses.dataclass(frozen=True)
class Renumbering:
    """A change of a physical function's number.  ``offered``: whether drivers were offered to its virtual functions before."""

    address: str
    before: int
    offered: bool
    after: int

    def is_half(self, device: Device) -> bool:
        now = (len(device.virtual_functions), device.drivers_autoprobe)
        return now not in ((self.before, self.offered), (self.after, self.after == 0))

    def describe(self, device: Device) -> str:
        offered = "are" if device.drivers_autoprobe else "are not"
        return f"{self.address} has {len(device.virtual_functions)} virtual functions, to which drivers {offered} offered"

    @property
    def returned(self) -> tuple[int, bool]:
        """The number and the offer once nothing is claimed any more: functions of ours go, those of others come back."""
        return (self.before, True) if self.offered else (0, True)


@dataclasses.dataclass(frozen=True)
class UnfinishedNumbers:
    """The physical functions that an earlier run has left in between."""

    half: tuple[tuple[Renumbering, Device], ...] = ()
    is_recorded: bool = False

    @classmethod
    def read(cls, host: Host, inventory: Inventory) -> UnfinishedNumbers:
        """Nothing after a reboot, which has undone it."""
        journal = Journal(host, NUMBERS)
        record = journal.read()
        if record is None or record.get(UNREADABLE) or not journal.is_of_this_boot(record):
            return cls(is_recorded=record is not None)
        entries = record.get("numbers")
        known = [_parsed(entry) for entry in (entries if isinstance(entries, list) else ())]
        present = ((one, inventory.get(one.address)) for one in known if one is not None)
        return cls(tuple((one, device) for one, device in present if device is not None and one.is_half(device)), True)

    def of(self, device: Device) -> Renumbering | None:
        return next((one for one, _device in self.half if one.address == device.address), None)

    def ended(self, changing: t.Container[str]) -> tuple[Recovered, ...]:
        """What a run that changes the numbers of ``changing`` does about them; those of the others it puts back."""
        finished = tuple(f"{one.describe(device)}; this run sets that." for one, device in self.half if one.address in changing)
        undone = tuple(f"{one.address} has {one.before} virtual functions again." for one, _device in self.others(changing))
        found = (Recovered(OPERATION, "finished", finished), Recovered(OPERATION, "undone", undone))
        return tuple(item for item in found if item.what)

    def others(self, changing: t.Container[str]) -> tuple[tuple[Renumbering, Device], ...]:
        return tuple((one, device) for one, device in self.half if one.address not in changing)

    def as_left(self) -> tuple[str, ...]:
        return tuple(f"{one.describe(device)}; run {OPERATION} with `state: present` or `state: absent`." for one, device in self.half)


def _parsed(entry: object) -> Renumbering | None:
    if not isinstance(entry, dict):
        return None
    address, before, after = (entry.get(name) for name in ("address", "before", "after"))
    if not isinstance(address, str) or not isinstance(before, int) or not isinstance(after, int):
        return None
    return Renumbering(address, before, entry.get("offered") is True, after)


def begin(host: Host, numbers: t.Iterable[Renumbering]) -> None:
    """Write down what is going to be changed, or what could not be put back.  Raises HostError."""
    Journal(host, NUMBERS).write({"numbers": [dataclasses.asdict(number) for number in numbers]})


def end(host: Host) -> None:
    """Every number is as it should be."""
    Journal(host, NUMBERS).close()

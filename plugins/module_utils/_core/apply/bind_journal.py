# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices that a run of `device_claim` is rebinding, and what becomes of those that a killed run, or one out of time, has left."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.journal import UNREADABLE, Journal
from ansible_collections.vfio.variants.plugins.module_utils._core.host.recovery import Recovered

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.bind_plan import Binding
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory

OPERATION = "device_claim"
NUMBERS = "virtual_functions"
"""The journal of their numbers, which change before what is bound."""


@dataclasses.dataclass(frozen=True)
class Rebinding:
    """A device that was to be rebound.  ``process`` is one that still waits for the kernel, with its start time, if there is one."""

    address: str
    driver: str | None
    override: str | None
    wanted_driver: str | None
    """None for its native driver, whichever that is."""
    wanted_override: str | None
    process: int = 0
    started: str = ""

    @classmethod
    def of(cls, binding: Binding) -> Rebinding:
        device = binding.device
        return cls(device.address, device.driver, device.driver_override, binding.driver, binding.override)

    def is_untouched(self, device: Device) -> bool:
        return (device.driver, device.driver_override) == (self.driver, self.override)

    def is_finished(self, device: Device) -> bool:
        reached = device.driver == self.wanted_driver if self.wanted_driver else device.driver not in (None, self.driver)
        return reached and device.driver_override == self.wanted_override

    def is_waiting(self, host: Host) -> bool:
        """Whether the process that an earlier run has left behind still waits for the kernel."""
        return bool(self.started) and host.start_time(self.process) == self.started

    def describe(self, device: Device) -> str:
        return f"{self.address} has driver {device.driver or 'none'} and driver_override {device.driver_override or 'none'}"


def begin(host: Host, rebindings: t.Sequence[Rebinding]) -> None:
    """Write down what is going to be rebound, or what could not be put back.  Raises HostError."""
    Journal(host, OPERATION).write({"devices": [dataclasses.asdict(rebinding) for rebinding in rebindings]})


def end(host: Host) -> None:
    """Every device is as it should be."""
    Journal(host, OPERATION).close()


def read(host: Host) -> tuple[Rebinding, ...]:
    """What an unfinished run was rebinding; nothing after a reboot, which has undone it."""
    journal = Journal(host, OPERATION)
    record = journal.read()
    if record is None or record.get(UNREADABLE) or not journal.is_of_this_boot(record):
        return ()
    entries = record.get("devices")
    found = (_parsed(entry) for entry in (entries if isinstance(entries, list) else ()))
    return tuple(rebinding for rebinding in found if rebinding is not None)


def _parsed(entry: object) -> Rebinding | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("address"), str):
        return None

    def text(name: str) -> str | None:
        value = entry.get(name)
        return value if isinstance(value, str) else None

    process = entry.get("process")
    return Rebinding(
        entry["address"],
        text("driver"),
        text("override"),
        text("wanted_driver"),
        text("wanted_override"),
        process if isinstance(process, int) else 0,
        text("started") or "",
    )


@dataclasses.dataclass(frozen=True)
class UnfinishedBindings:
    """The devices that an earlier run has left in between, with what each of them has now."""

    half: tuple[tuple[Rebinding, Device], ...] = ()
    waiting: tuple[tuple[Rebinding, Device], ...] = ()
    """Those for which a process still waits, so that nothing can be done about them."""
    is_recorded: bool = False
    """Whether there is a journal at all."""

    @classmethod
    def read(cls, host: Host, inventory: Inventory) -> UnfinishedBindings:
        found = read(host)
        present = [(one, device) for one in found for device in (inventory.get(one.address),) if device is not None]
        waiting = tuple((one, device) for one, device in present if one.is_waiting(host))
        half = (
            (one, device)
            for one, device in present
            if (one, device) not in waiting and not one.is_untouched(device) and not one.is_finished(device)
        )
        return cls(tuple(half), waiting, Journal(host, OPERATION).read() is not None)

    def rebinding(self, binding: Binding) -> Rebinding:
        """The rebinding, from what the function had before the earlier run."""
        new = Rebinding.of(binding)
        before = next((one for one, _device in self.half if one.address == new.address), new)
        return dataclasses.replace(new, driver=before.driver, override=before.override)

    @property
    def still_waiting(self) -> tuple[Rebinding, ...]:
        return tuple(one for one, _device in self.waiting)

    @property
    def ours(self) -> frozenset[str]:
        """Devices that were this collection's, whatever sysfs says of them now."""
        return frozenset(one.address for one, _device in self.half)

    def refuse_waiting(self, addresses: t.Container[str]) -> None:
        """Raises HostError if a process still waits for the kernel to rebind one of these devices."""
        for one, _device in self.waiting:
            if one.address in addresses:
                raise HostError(
                    f"{one.address} is still being unbound: process {one.process} of an earlier run waits for it in the kernel.",
                    f"End what uses the device (`cat /proc/{one.process}/stack` shows what is waited for), and run this again.",
                )

    def as_left(self) -> tuple[Recovered, ...]:
        """For a run that does not rebind devices."""
        sentences = [f"{one.describe(device)}; run {OPERATION} with `state: present` or `state: absent`." for one, device in self.half]
        sentences += [f"Process {one.process} still waits for {one.address} to be unbound." for one, _device in self.waiting]
        return (Recovered(OPERATION, "left", tuple(sentences)),) if sentences else ()


NOTHING = UnfinishedBindings()

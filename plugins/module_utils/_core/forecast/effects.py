# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an event or a program does to devices and drivers, one step each."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import LoadRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.driver_keys import hold

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Reason
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciId
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Act, Influence
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import Key

OWN = ""
"""In an effect, stands for the address of the event's own device, so that identical devices share their effects."""


@dataclasses.dataclass(frozen=True)
class SetOverride:
    """driver_override is written; None clears it."""

    address: str
    driver: str | None
    because: Reason


@dataclasses.dataclass(frozen=True)
class ProbeNow:
    """drivers_probe is written: the device is offered to the registered drivers, whatever drivers_autoprobe says."""

    address: str
    because: Reason


@dataclasses.dataclass(frozen=True)
class Bind:
    """A driver's `bind` is written: the device is offered to it alone."""

    address: str
    driver: str
    because: Reason


@dataclasses.dataclass(frozen=True)
class Unbind:
    """The device is unbound; with ``driver``, only from this one."""

    address: str
    because: Reason
    driver: str | None = None


@dataclasses.dataclass(frozen=True)
class Remove:
    """The device is removed from its bus."""

    address: str
    because: Reason


@dataclasses.dataclass(frozen=True)
class AfterUnbind:
    """What follows is the "unbind" event, which is sent only if the device was bound."""

    address: str = OWN


@dataclasses.dataclass(frozen=True)
class NewId:
    """new_id is written: the driver binds to every unbound device of that ID."""

    driver: str
    id: PciId
    because: Reason


@dataclasses.dataclass(frozen=True)
class RemoveId:
    """remove_id is written: the driver no longer takes the ID that `ids=` or new_id gave it."""

    driver: str
    id: PciId
    because: Reason


@dataclasses.dataclass(frozen=True)
class SetAutoprobe:
    """sriov_drivers_autoprobe is written: whether a physical function's virtual functions are offered to drivers."""

    address: str
    on: bool
    because: Reason


@dataclasses.dataclass(frozen=True)
class SetBusAutoprobe:
    """The bus's drivers_autoprobe is written: whether devices are offered to drivers that register from now on."""

    on: bool
    because: Reason


@dataclasses.dataclass(frozen=True)
class Noticed:
    """Something that is not simulated; OWN among its addresses is the event's own device."""

    influence: Influence
    spares_own: bool = False
    """Whether it is about other devices only, as what is done to the event's own is simulated."""


ACT_OF: t.Final[t.Mapping[type, Act]] = {
    SetOverride: "override",
    ProbeNow: "bind",
    Bind: "bind",
    Unbind: "unbind",
    Remove: "remove",
    NewId: "new_id",
    RemoveId: "new_id",
    SetAutoprobe: "create",
    SetBusAutoprobe: "lock",
    LoadRequest: "load",
}
"""What may have been done to a driver where an effect may have happened."""

OfDevice = t.Union[SetOverride, ProbeNow, Bind, Unbind, Remove, AfterUnbind, SetAutoprobe]
OfAll = t.Union[NewId, RemoveId, SetBusAutoprobe, Noticed, LoadRequest]
Plain = t.Union[OfDevice, OfAll]


@dataclasses.dataclass(frozen=True)
class IfDriver:
    """An effect that the event has only if the keys hold for the driver that its device has then, and the override that it had before."""

    keys: tuple[Key, ...]
    effect: Plain

    def holds(self, driver: str | None, override: str | None) -> bool:
        return hold(self.keys, driver, override)


Effect = t.Union[Plain, IfDriver]


def plain(effect: Effect) -> Plain:
    """The effect itself, whatever it depends on."""
    return effect.effect if isinstance(effect, IfDriver) else effect


def address_of(effect: Effect) -> str | None:
    """The address of the device that an effect applies to; None if not to one device only."""
    effect = plain(effect)
    if isinstance(effect, (LoadRequest, NewId, RemoveId, SetBusAutoprobe, Noticed)):
        return None
    return effect.address

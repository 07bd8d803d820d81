# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What decides about a device at a moment that a boot elsewhere need not show.

Without the card a driver's probe fails, so that udev hears of no driver that has come or gone, and of nothing that a driver makes; and a
program that runs beside udev may come before it in one boot and after it in the next.
"""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.compared_rules import ComparedRules
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import probe_doubt
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import (
    OWN,
    AfterUnbind,
    IfDriver,
    NewId,
    Noticed,
    RemoveId,
    SetBusAutoprobe,
    SetOverride,
    address_of,
    plain,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.hidden_cause import CHILD, PROBE, HiddenCause
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import LoadRequest, Modprobe
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.registration import Registrar
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.stage_events import StageEvents, stage_events
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.driver_keys import hold, is_about_override
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import BIND, UNBIND

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, Winner
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import Effect
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence


def hidden_causes(devices: t.Sequence[Device], boot: Boot, winners: t.Mapping[str, Winner]) -> dict[str, tuple[HiddenCause, ...]]:
    """By the address of the device that they act on."""
    found: dict[str, dict[HiddenCause, None]] = {device.address: {} for device in devices}
    drivers = _drivers_of(boot)
    noticed = {str(one): [_of_influence(one)] for one in (*boot.all_influences, *boot.influences_of_programs)}
    for events in _all_events(devices, boot):
        for one in events.of_others:
            reached = [address for address in found if one.addresses is None or address in one.addresses]
            noticed.setdefault(str(one), []).extend(_of_influence(one, CHILD, address) for address in reached)
        for device, event, effects in _at_drivers(events, devices):
            for one in events.noticed_at(effects, device):
                noticed.setdefault(str(one), []).append(_of_influence(one, event, device.address))
            new = [effect for effect in effects if not _is_seen_before(effect, events, device)]
            for effect, cause in ((effect, _cause(effect, event, device, drivers)) for effect in new):
                if cause is not None:
                    for address in _reached(effect, device, devices):
                        found[address][cause] = None
    for address, causes in found.items():
        doubts = winners[address].doubts
        causes.update((one, None) for doubt in doubts for one in _nearest(noticed.get(doubt, ()), address))
        causes.update((_of_probe(name, address), None) for name in drivers if probe_doubt(name) in doubts)
    return {address: tuple(causes) for address, causes in found.items()}


def _of_influence(one: Influence, event: str | None = None, address: str | None = None) -> HiddenCause:
    modules = None if one.modules is None else tuple(sorted(one.modules))
    return HiddenCause(one.source, one.fact, tuple(sorted(one.acts)), event, address, None, modules)


def _of_probe(driver: str, address: str) -> HiddenCause:
    return HiddenCause(driver, "its ID table has not the device, so that its probe decides", (), PROBE, address, (driver,))


def _nearest(causes: t.Sequence[HiddenCause], address: str) -> t.Sequence[HiddenCause]:
    """Those of a program or of the device's own events, if there are any."""
    return [one for one in causes if one.device in (None, address)] or causes


def _all_events(devices: t.Sequence[Device], boot: Boot) -> t.Iterator[StageEvents]:
    """Of each stage in which udev runs."""
    settings = Registrar(boot, devices).settings
    by_address = {device.address: device for device in devices}
    for stage in boot.stages:
        events = stage_events(ComparedRules(boot, stage, by_address), Modprobe(boot, stage, frozenset(), settings))
        if events is not None:
            yield events


def _at_drivers(events: StageEvents, devices: t.Sequence[Device]) -> t.Iterator[tuple[Device, str, tuple[Effect, ...]]]:
    """What udev does when a driver comes to each device, and when one leaves it."""
    for device in devices:
        yield device, BIND, events.on_bind(device)
        yield device, UNBIND, events.on_unbind(device)


def _is_seen_before(effect: Effect, events: StageEvents, device: Device) -> bool:
    """Whether the device's first event has done so already: an override that is written a second time changes nothing."""
    return isinstance(plain(effect), SetOverride) and effect in events.of(device)


def _cause(effect: Effect, event: str, device: Device, known: t.Collection[str]) -> HiddenCause | None:
    """None where what is done is not known; the forecast then has a sentence about it, if it matters."""
    one = plain(effect)
    if isinstance(one, (Noticed, LoadRequest, AfterUnbind)):
        return None
    drivers = None
    if isinstance(effect, IfDriver):
        asked = [key for key in effect.keys if not is_about_override(key)]
        drivers = tuple(sorted(name for name in known if hold(asked, name, None))) if asked else None
    return HiddenCause(one.because.source, one.because.fact, (), event, device.address, drivers)


def _drivers_of(boot: Boot) -> list[str]:
    loadable = (driver.name for facts in boot.modules.values() for driver in facts.drivers)
    return sorted({*loadable, *(driver.name for _module, driver in boot.built_in)})


def _reached(effect: Effect, device: Device, devices: t.Sequence[Device]) -> tuple[str, ...]:
    """The addresses of the devices that it is done to."""
    one = plain(effect)
    if isinstance(one, (NewId, RemoveId)):
        return tuple(other.address for other in devices if one.id.matches(other))
    if isinstance(one, SetBusAutoprobe):
        return tuple(other.address for other in devices)
    address = address_of(effect)
    named = device.address if address == OWN else address
    return tuple(other.address for other in devices if other.address == named)

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All events that udev processes in a stage: of PCI functions, of their drivers and modules, of the bus, and of other subsystems."""

from __future__ import annotations

import collections
import dataclasses
import functools
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Coldplug
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import Job
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import OWN, IfDriver, Noticed, plain
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.events import Events
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.foreign_events import foreign_influences
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import LoadRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.rule_effects import RuleEffects
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.driver_keys import is_about_override
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import ADD, BIND, UNBIND, of_bus, of_driver, of_module

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.compared_rules import ComparedRules
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import DeviceState, Registration
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import Effect
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.influences import Reach
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.possible_loads import PossibleLoads
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import Modprobe
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import Subject


class StageEvents:
    """With the modules that ``modprobe`` takes for loaded."""

    def __init__(self, rules: ComparedRules, modprobe: Modprobe) -> None:
        self._compared = rules
        self._modprobe = modprobe
        self._effects = RuleEffects(rules.stage, modprobe, rules.others)
        self._by_action: dict[str, Events] = {}
        self._of_modules: dict[str, tuple[Effect, ...]] = {}

    def of(self, device: Device, action: str = ADD) -> tuple[Effect, ...]:
        """What udev does at an event of a PCI function."""
        return self._events(action).of(device)

    def _events(self, action: str) -> Events:
        if action not in self._by_action:
            self._by_action[action] = Events(self._compared, self._modprobe, action)
        return self._by_action[action]

    def on_bind(self, device: Device) -> tuple[Effect, ...]:
        return self._after(device, BIND)

    def on_unbind(self, device: Device) -> tuple[Effect, ...]:
        return self._after(device, UNBIND)

    def _after(self, device: Device, action: str) -> tuple[Effect, ...]:
        events = self._events(action)
        return () if events.is_idle else events.of(device)

    # -- drivers, modules and the bus

    def of_module(self, module: str) -> tuple[Effect, ...]:
        """What udev does at the events of a module and of the drivers that it registers."""
        if module not in self._of_modules:
            facts = self._compared.boot.facts(module, self._compared.stage)
            found = [*self._of_subject(of_module(module))]
            for driver in facts.drivers if facts is not None else ():
                found += self._of_subject(of_driver(driver.name))
            self._of_modules[module] = tuple(found)
        return self._of_modules[module]

    @functools.cached_property
    def eventful(self) -> frozenset[str]:
        """The modules at whose loading udev does something."""
        return frozenset(module for module in self._compared.boot.modules if self.of_module(module))

    def replayed(self, registered: t.Iterable[Registration]) -> t.Iterator[Job]:
        """The events of what is there before: udevadm trigger --type=subsystems replays those of the bus, its drivers and all modules."""
        bus = tuple(self._of_subject(of_bus()))
        if bus:
            yield Job(bus)
        for name in dict.fromkeys(one.driver.name for one in registered):
            effects = tuple(self._of_subject(of_driver(name)))
            if effects:
                yield Job(effects)
        for module in dict.fromkeys(one.module for one in registered):
            effects = tuple(self._of_subject(of_module(module)))
            if effects:
                yield Job(effects)

    def _of_subject(self, subject: Subject) -> t.Iterator[Effect]:
        yield from self._effects.of_all(self._compared.with_other(subject), subject, "")

    # -- what is not simulated

    @functools.cached_property
    def of_others(self) -> tuple[Influence, ...]:
        """What rules do at events of other subsystems' devices."""
        return foreign_influences(self._compared.stage, self._compared.around, self._effects)

    def noticed(self, device: Device, states: t.Sequence[DeviceState] | None) -> t.Iterator[Influence]:
        """What is not simulated of a device's events; ``states`` are those that it has meanwhile, if it is followed."""
        for effect in self.of(device) if self._events(ADD).notices else ():
            if isinstance(plain(effect), Noticed):
                yield from self._noticed(effect, device, states)
        bound = () if states is not None and all(state.driver is None for state in states) else self.on_bind(device)
        yield from (one for effect in bound for one in self._noticed(effect, device, states))

    def noticed_at(self, effects: t.Iterable[Effect], device: Device) -> t.Iterator[Influence]:
        """What is not simulated of an event of the device that has these effects, whatever its driver."""
        return (one for effect in effects for one in self._noticed(effect, device, None))

    def _noticed(self, effect: Effect, device: Device, states: t.Sequence[DeviceState] | None) -> t.Iterator[Influence]:
        if isinstance(effect, IfDriver) and states is not None and not any(effect.holds(state.driver, state.override) for state in states):
            return
        one = plain(effect)
        if isinstance(one, LoadRequest):
            # What is loaded already, or blacklisted, brings no driver.
            if one.insertions:
                source = one.because[0].source if one.because else "udev"
                fact = f"loads {', '.join(one.insertions)} when a driver comes"
                yield Influence(source, fact, frozenset(("load",)), None, frozenset(one.insertions))
            yield from one.influences
        elif isinstance(one, Noticed):
            found = one.influence
            if found.addresses is not None and OWN in found.addresses:
                found = dataclasses.replace(found, addresses=(found.addresses - {OWN}) | {device.address})
            if self._spares(one, device):
                reached = frozenset(self._compared.others) if found.addresses is None else found.addresses
                found = dataclasses.replace(found, addresses=reached - {device.address})
            yield found

    @functools.cached_property
    def _alike(self) -> collections.Counter[int]:
        """How many devices' events have the same effects: what the event of one of them does to others it does to the rest of them."""
        return collections.Counter(id(self.of(device)) for device in self._compared.others.values())

    def note_loads(self, loads: PossibleLoads, reach: Reach, devices: t.Iterable[Device]) -> None:
        """What is not simulated of the devices' "add" events, as far as it may load modules."""
        for device in devices:
            effects = self.of(device)
            # That is known when the effects are.
            if self._events(ADD).notices or self._compared.stage.install_commands:
                for one in map(plain, effects):
                    if isinstance(one, Noticed):
                        loads.note(reach, (one.influence,), device.address if self._spares(one, device) else None)
                    elif isinstance(one, LoadRequest):
                        # By the command of an install line.
                        loads.note(reach, one.influences)

    def _spares(self, one: Noticed, device: Device) -> bool:
        """Whether nothing of the kind reaches the device itself: no other device's event is like its own."""
        return one.spares_own and self._alike[id(self.of(device))] == 1

    def further(self, device: Device) -> tuple[Effect, ...]:
        """What the events do that drivers and modules cause by their coming and going."""
        loaded = (effect for module in self.eventful for effect in self.of_module(module))
        return (*self.on_bind(device), *self.on_unbind(device), *loaded)

    def noticed_of_modules(self, modules: t.Iterable[str]) -> t.Iterator[Influence]:
        for module in modules:
            yield from (effect.influence for effect in self.of_module(module) if isinstance(effect, Noticed))


def stage_events(rules: ComparedRules, modprobe: Modprobe) -> StageEvents | None:
    """None where no udev runs in a stage."""
    runs = any(isinstance(work, Coldplug) for step in rules.stage.steps for work in step)
    return StageEvents(rules, modprobe) if runs else None


def depend_on_driver(rules: Rules) -> bool:
    """Whether what an event does depends on the driver that its device has, or on its override."""
    keys = (key for rule in rules.rules for key in rule.keys if key.is_match)
    return any(key.name in ("DRIVER", "DRIVERS") or is_about_override(key) for key in keys)

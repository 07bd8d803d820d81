# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an influence, whose effect is not simulated, can make of a device: the further drivers that may own it."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast import matching
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import DeviceSimulation, DeviceState
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import ANOTHER, TAKES_AWAY

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import ProbeContext, Registration
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import LoadRequest, Modprobe
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.registration import Registrar
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Act, Influence

NAMES_A_DRIVER: t.Final[frozenset[Act]] = frozenset(("override", "bind", "new_id"))
Owner = t.Optional[str]


@dataclasses.dataclass(frozen=True)
class Unclear:
    """Something that cannot be determined, in a sentence, and the drivers that may own the device because of it."""

    sentence: str
    owners: tuple[Owner, ...]


class Reach:
    """What can happen in one stage of a boot beyond what is simulated.

    ``context`` says what a driver finds that probes a device in it; without it no driver is known to succeed.
    """

    def __init__(
        self, registrar: Registrar, stage: Stage, modprobe: Modprobe, context: t.Callable[[Device], ProbeContext] | None = None
    ) -> None:
        self._registrar = registrar
        self._context = context
        self.stage = stage
        self.modprobe = modprobe
        self._requests: dict[tuple[str, bool], tuple[LoadRequest, ...]] = {}

    def of(
        self,
        influence: Influence,
        device: Device,
        states: t.Sequence[DeviceState],
        may_be_free: bool = False,
        needs_module: bool = False,
    ) -> tuple[Owner, ...]:
        """The possible owners; empty if the influence cannot touch the device.

        ``states`` are those in which the device can be while the influence acts; ``may_be_free`` if something else may have unbound it;
        ``needs_module`` if a driver in them is loaded while the influence acts.
        """
        if not influence.about(device.address):
            return ()
        found: dict[Owner, None] = {}
        takes_away = self._takes_away(influence, states)
        # Whether it is free only where no driver that is loaded by then matches it, so that the first one that is inserted has it.
        in_order = not may_be_free and not takes_away and all(map(_waits_for_a_driver, states))
        if takes_away:
            found.update(dict.fromkeys((None, *self.matching(device))))
            may_be_free = True
        may_be_free = may_be_free or any(state.driver is None for state in states)
        if may_be_free:
            found.update(dict.fromkeys(self._of_free_device(influence, device, states, in_order)))
        if "rescan" in influence.acts and not device.is_virtual and not all(state.exists for state in states):
            found.update(dict.fromkeys((None, *self.matching(device))))
        if "lock" in influence.acts and (may_be_free or needs_module):
            # What needs the module stops before it unbinds the device, or after.
            kept = (state.driver for state in states) if needs_module else ()
            found.update(dict.fromkeys((None, *self.matching(device), *kept)))
        return tuple(found)

    def frees(self, influence: Influence, device: Device, states: t.Sequence[DeviceState]) -> bool:
        """Whether it can unbind the device, so that others can act on it."""
        return influence.about(device.address) and self._takes_away(influence, states)

    def _takes_away(self, influence: Influence, states: t.Sequence[DeviceState]) -> bool:
        """Whether it can unbind the device; modules that it removes must be the driver's."""
        if influence.acts & TAKES_AWAY - {"refuse"}:
            return True
        if "refuse" not in influence.acts:
            return False
        owners = {module for state in states if state.driver is not None for module in self._registrar.modules_of(state.driver)}
        return bool(owners) and (influence.modules is None or not owners.isdisjoint(influence.modules))

    def _of_free_device(self, influence: Influence, device: Device, states: t.Sequence[DeviceState], in_order: bool) -> t.Iterator[Owner]:
        if "load" in influence.acts:
            yield from self._of_loads(influence, device, states, in_order)
        if influence.acts & NAMES_A_DRIVER:
            if influence.drivers is None:
                yield from (None, *self.matching(device), ANOTHER)
            else:
                yield from (None, *sorted(influence.drivers))
        if "refuse" in influence.acts:
            wanted = self._candidates(device, states)
            if influence.modules is None or not wanted.isdisjoint(influence.modules):
                yield from (None, *self.matching(device))
        if "create" in influence.acts and device.is_virtual:
            yield from (None, *self.matching(device))

    def matching(self, device: Device) -> tuple[str, ...]:
        """The drivers that may bind to the device by their tables, aliases, options, or the policy of this stage."""
        return tuple(self._drivers_for(device, sorted(self._candidates(device, ())), ()))

    def anything(self, device: Device) -> tuple[Owner, ...]:
        """The possible owners where nothing is known."""
        return (None, *self.matching(device), ANOTHER)

    def _candidates(self, device: Device, states: t.Sequence[DeviceState]) -> frozenset[str]:
        found = {match.module for match in self.stage.kernel.natives(device.modalias)}
        found |= self._registrar.configured_natives(self.stage, device)
        found |= self._registrar.with_dynamic_id(self.stage, device)
        named = (state.override for state in states if state.override is not None)
        return frozenset(found | {module for name in named for module in self._registrar.modules_of(name)})

    def _of_loads(self, influence: Influence, device: Device, states: t.Sequence[DeviceState], in_order: bool) -> t.Iterator[str]:
        if influence.modules is None:
            yield from self._drivers_for(device, sorted(self._candidates(device, states)), states)
        for request in self._requested(influence):
            yield from self._drivers_for(device, request.insertions, states, in_order)

    def with_commands(self, influences: t.Sequence[Influence]) -> tuple[Influence, ...]:
        """The influences, and those of the `install` commands that run in place of the modules that they may load."""
        found = dict.fromkeys(influences)
        waiting = list(found)
        while waiting:
            one = waiting.pop()
            for caused in self._of_commands(one) if "load" in one.acts else ():
                if caused not in found:
                    found[caused] = None
                    waiting.append(caused)
        return tuple(found)

    def _of_commands(self, influence: Influence) -> t.Iterator[Influence]:
        if influence.modules is None:
            yield from (one for judged in self.stage.install_commands.values() for one in judged)
            return
        yield from (one for request in self._requested(influence) for one in request.influences)

    def _requested(self, influence: Influence) -> t.Iterator[LoadRequest]:
        for name in sorted(influence.modules or ()):
            yield from self.requests(name, influence.by_modprobe)

    def requests(self, name: str, by_modprobe: bool = False) -> tuple[LoadRequest, ...]:
        """What loads a module, with its softdeps and dependencies; `modprobe -i` and `insmod` run no install line."""
        key = (name, by_modprobe)
        if key not in self._requests:
            past = () if by_modprobe else self.modprobe.ask_ignoring(name)
            self._requests[key] = (*self.modprobe.ask(name, False, None), *past)
        return self._requests[key]

    def _drivers_for(
        self, device: Device, modules: t.Iterable[str], states: t.Sequence[DeviceState], in_order: bool = False
    ) -> t.Iterator[str]:
        """The drivers of the modules that may bind to the device, ``in_order`` up to the first that certainly does."""
        free = {state.override for state in states if state.driver is None} or {None}
        for module in modules:
            for registration in self._registrar.registers(self.stage, module):
                driver = registration.driver
                matched = {override for override in free if matching.matches(driver, registration.ids, device, override)}
                if matched:
                    yield driver.name
                free -= {override for override in matched if in_order and self._certainly_binds(registration, device, override)}

    def _certainly_binds(self, registration: Registration, device: Device, override: str | None) -> bool:
        is_late = registration.detached is not None or registration.driver.asynchronous
        if self._context is None or is_late or registration.unclear or self._registrar.why_declined(registration, device) is not None:
            return False
        offer = DeviceSimulation(self._context(device), DeviceState(override=override), (registration,), ())
        offer.offer_all()
        return offer.state.driver is not None and offer.state.doubt is None


def _waits_for_a_driver(state: DeviceState) -> bool:
    """Whether the driver that binds to the device next is the first matching one that is registered: it is bound, or nobody has
    made it miss one."""
    was_cleared = state.override is None and bool(state.override_because)
    return state.driver is not None or (state.exists and state.bus_autoprobe and not state.pending and not was_cleared)

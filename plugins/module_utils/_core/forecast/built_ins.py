# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What drivers that are built into the kernel take, before any user space runs."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import KERNEL, Reason
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.alternatives import Trial
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import DeviceSimulation, DeviceState
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.influences import Unclear
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.outcomes import Outcomes
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import ANOTHER

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import ProbeContext, Registration
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.registration import Registrar
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device


@dataclasses.dataclass(frozen=True)
class BuiltIns:
    """``registered`` are those whose IDs are known, in the order in which they were linked: which of them comes first wins."""

    boot: Boot
    registrar: Registrar
    registered: t.Sequence[Registration]

    def outcomes(self, device: Device, context: ProbeContext, before: Outcomes) -> Outcomes:
        """Who has the device when user space starts; ``before`` if nobody has."""
        holder = self.boot.held_by_built_in.get(device.address)
        off = None if holder is None else self.registrar.why_built_in_is_off(holder, device)
        if holder is not None and (off is None or not off.certain):
            found = self._beside(holder, context)
            if off is None:
                return found
            return dataclasses.replace(found, states=(*found.states, DeviceState())).also(Unclear(f"{off}.", ()))
        states, open_ends = self._tried(context, self.registered)
        refused = () if off is None else (Reason(off.source, off.fact),)
        if all(state.driver is None for state in states):
            return dataclasses.replace(before, refused=(*refused, *states[0].because))
        return Outcomes(states, (), refused).also(*open_ends)

    def _beside(self, holder: str, context: ProbeContext) -> Outcomes:
        """A driver that takes the device today and is built in, among those that were linked before it."""
        because = Reason(f"kernel {self.boot.release}", f"{holder} is built in and the device is bound to it now")
        held = DeviceState(holder, None, KERNEL, (because,))
        names = [one.driver.name for one in self.registered]
        is_listed = holder in names
        states, open_ends = self._tried(context, self.registered[: names.index(holder)] if is_listed else self.registered)
        if all(state.driver is None for state in states):
            return Outcomes((held,))
        found = Outcomes(tuple(held if state.driver is None else state for state in states)).also(*open_ends)
        if is_listed:
            return found
        others = ", ".join(dict.fromkeys(state.driver for state in states if state.driver is not None))
        unclear = f"{holder} and {others} are built into kernel {self.boot.release}, and no list says which of them comes first."
        return found.also(Unclear(unclear, (holder,)))

    def _tried(self, context: ProbeContext, registered: t.Sequence[Registration]) -> tuple[tuple[DeviceState, ...], tuple[Unclear, ...]]:
        return Trial(context, (DeviceState(),), registered, ()).of(lambda tried: self._offered(tried, registered))

    def _offered(self, context: ProbeContext, registered: t.Sequence[Registration]) -> t.Iterator[DeviceState]:
        play = DeviceSimulation(context, DeviceState(), registered, ())
        play.offer_all()
        built_in = Reason(f"modules.builtin of {self.boot.release}", f"{play.state.driver} is built in")
        because = play.state.because if play.state.driver is None else (*play.state.because[:-1], built_in)
        yield dataclasses.replace(play.state, because=because)


def unlisted(boot: Boot, device: Device, outcomes: Outcomes) -> t.Iterator[Unclear]:
    """That a built-in driver whose IDs are in no list may have taken the device before."""
    drivers = boot.maybe_built_in.get(device.address)
    first = outcomes.states[0]
    lacking = f"Kernel {boot.release} has no list of its built-in drivers' IDs"
    if first.stage == KERNEL and not drivers:
        if device.address in boot.maybe_taken_first and device.address not in boot.held_by_built_in:
            yield Unclear(f"{lacking}, and one that is linked before {first.driver} may be for the device.", (ANOTHER,))
        return
    # One that is built in as well may be linked after it.
    if drivers is None or (first.stage == KERNEL and first.driver in drivers):
        return
    why = f"{', '.join(drivers)} may be for the device" if drivers else "the device has no other native driver"
    yield Unclear(f"{lacking}, and {why}.", (None, *(drivers or (ANOTHER,))))

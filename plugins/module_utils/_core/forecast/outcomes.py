# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can have become of a device by some point of a boot."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import DeviceState
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.influences import Unclear

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Assigned, Reason
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device


@dataclasses.dataclass(frozen=True)
class Outcomes:
    """The possible states of a device so far.  ``refused`` says why native drivers were not loaded."""

    states: tuple[DeviceState, ...] = (DeviceState(),)
    unclear: tuple[Unclear, ...] = ()
    refused: tuple[Reason, ...] = ()

    @property
    def is_open(self) -> bool:
        return any(state.driver is None for state in self.states)

    def also(self, *unclear: Unclear) -> Outcomes:
        """These outcomes with what else cannot be determined."""
        return dataclasses.replace(self, unclear=tuple(dict.fromkeys((*self.unclear, *unclear)))) if unclear else self


@dataclasses.dataclass(frozen=True)
class Before:
    """The devices' states, and the drivers that had registered, when something began to act."""

    states: t.Mapping[str, tuple[DeviceState, ...]]
    drivers: t.Container[str]

    def of(self, device: Device) -> tuple[DeviceState, ...]:
        return self.states.get(device.address, ())

    def lacks_driver_of(self, outcomes: Outcomes) -> bool:
        """Whether a module had to be loaded since then for one of these outcomes."""
        return any(state.driver is not None and state.driver not in self.drivers for state in outcomes.states)


def unless_same(outcomes: Outcomes, taken: Assigned) -> t.Iterator[Unclear]:
    if any(state.driver != taken.driver for state in outcomes.states):
        sentence = f"{taken.source} makes {taken.driver} the device's driver {taken.when}; whether that happens cannot be determined."
        yield Unclear(sentence, (taken.driver, None))

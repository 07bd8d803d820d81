# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can have become of a device by some point of a boot."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import DeviceState
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.influences import Unclear

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Assigned, Boot, Reason


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


def unless_same(outcomes: Outcomes, taken: Assigned) -> t.Iterator[Unclear]:
    if any(state.driver != taken.driver for state in outcomes.states):
        sentence = f"{taken.source} makes {taken.driver} the device's driver {taken.when}; whether that happens cannot be determined."
        yield Unclear(sentence, (taken.driver, None))


def unless_locked(
    boot: Boot, before: t.Mapping[str, tuple[DeviceState, ...]], outcomes: t.Mapping[str, Outcomes], loaded: t.Container[str]
) -> t.Iterator[tuple[str, Outcomes]]:
    """What driverctl leaves where something may forbid to load modules first: then it fails, and the device keeps its driver.

    ``loaded`` are the drivers that were there ``before``.
    """
    locks = [one for one in boot.all_influences if "lock" in one.acts]
    for address in boot.later.driverctl if locks else ():
        if address in outcomes and any(state.driver not in loaded for state in outcomes[address].states):
            owners = tuple(dict.fromkeys((*(state.driver for state in before[address]), None)))
            yield address, outcomes[address].also(*(Unclear(str(one), owners) for one in locks))

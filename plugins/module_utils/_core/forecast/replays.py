# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events that a program asks for, when devices have drivers: `udevadm trigger` sends "change" unless it is told another action."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import (
    ACT_OF,
    OWN,
    AfterUnbind,
    IfDriver,
    Noticed,
    SetOverride,
    address_of,
    plain,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import LoadRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import ADD, CHANGE

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import Effect
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.stage_events import StageEvents
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

REPLAY: t.Final = "replay"


def with_replays(
    influences: t.Sequence[Influence], events: t.Callable[[], StageEvents | None], devices: t.Sequence[Device]
) -> tuple[Influence, ...]:
    """The influences, and what rules do at the events that some of them ask for; ``events`` are None where no udev runs."""
    asking = [one for one in influences if REPLAY in one.acts]
    rules = events() if asking else None
    if rules is None:
        return tuple(influences)
    found = (acts for device in devices for acts in _of_rules(rules, device))
    return (*influences, *dict.fromkeys(_asked(one, acts) for acts in found for one in asking))


def _of_rules(rules: StageEvents, device: Device) -> t.Iterator[Influence]:
    """What the events of a device would do: all of "change", and of "add" what it does only once there is a driver."""
    before = rules.of(device, ADD)
    again = [effect for effect in before if isinstance(effect, IfDriver)]
    # An override that is written once more, or a module that is loaded once more, changes nothing.
    done = [effect for effect in before if isinstance(effect, (SetOverride, LoadRequest))]
    for effect in (*(one for one in rules.of(device, CHANGE) if one not in done), *again):
        found = _influence(effect, device)
        if found is not None:
            yield found


def _influence(effect: Effect, device: Device) -> Influence | None:
    one = plain(effect)
    if isinstance(one, Noticed):
        addresses = one.influence.addresses or frozenset()
        its = frozenset((device.address,))
        return dataclasses.replace(one.influence, addresses=(addresses - {OWN}) | its) if OWN in addresses else one.influence
    if isinstance(one, LoadRequest):
        source = one.because[0].source if one.because else "udev"
        return Influence(source, "", frozenset(("load",)), None, frozenset(one.insertions)) if one.insertions else None
    if isinstance(one, AfterUnbind):
        return None
    address = address_of(one)
    reached = None if address is None else frozenset((address or device.address,))
    return Influence(one.because.source, "", frozenset((ACT_OF[type(one)],)), reached)


def _asked(asking: Influence, found: Influence) -> Influence:
    return dataclasses.replace(found, source=asking.source, fact=f"{asking.fact}, at whose events {found.source} acts")

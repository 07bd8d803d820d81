# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups indistinguishable devices: one of each group is simulated for all of them."""

from __future__ import annotations

import dataclasses
import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.compared_rules import around_of
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.distinctions import Distinctions
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.attribute_paths import acts
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import attribute_of_another

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rule import Rule


@dataclasses.dataclass(frozen=True)
class DeviceClasses:
    """``first`` has each device's representative, by address; ``members`` the devices that each represents, itself included."""

    first: t.Mapping[str, Device]
    members: t.Mapping[str, t.Sequence[Device]]

    @classmethod
    def of(cls, devices: t.Sequence[Device], boot: Boot) -> DeviceClasses:
        """Two devices are equivalent if they are of one identity and no rule, list or fact of the boot distinguishes them."""
        others = {device.address: device for device in devices}
        rules = [rule for stage in boot.stages for rule in stage.rules.rules]
        written = frozenset(_written_addresses(devices, boot, rules))
        # With a device, all that is below it is removed.
        removes = any(acts(key) and (key.attribute or "").endswith("remove") for rule in rules for key in rule.keys)
        names = [Distinctions.of(stage.rules.rules, around_of(boot, stage, others), written) for stage in boot.stages]
        classes: dict[tuple[t.Hashable, ...], list[Device]] = {}
        for device in devices:
            address = device.address
            holder, declined = boot.held_by_built_in.get(address), boot.declined.get(address)
            apart = address if address in written else posixpath.dirname(device.path or "") if removes else None
            identity = (device.modalias, device.revision, apart, *(one.key(device) for one in names))
            served = device.iommu_group is not None
            unlisted = (boot.maybe_built_in.get(address), address in boot.maybe_taken_first)
            key = (*identity, device.physical_function, holder, declined, unlisted, served)
            classes.setdefault(key, []).append(device)
        first = {device.address: members[0] for members in classes.values() for device in members}
        return cls(first, {members[0].address: members for members in classes.values()})

    @property
    def representatives(self) -> tuple[Device, ...]:
        return tuple(members[0] for members in self.members.values())

    @property
    def samples(self) -> tuple[Device, ...]:
        """Enough of each class for any device's forecast: its own event, and that of another one like it."""
        return tuple(device for members in self.members.values() for device in members[:2])


def _written_addresses(devices: t.Sequence[Device], boot: Boot, rules: t.Iterable[Rule]) -> t.Iterator[str]:
    """Addresses that are written to or assigned, and those of physical functions, which distinguish their virtual functions."""
    keys = [key for rule in rules for key in rule.keys]
    yield from (another[0] for another in map(attribute_of_another, keys) if another is not None)
    yield from (key.value for key in keys if not key.is_match)
    yield from (device.physical_function for device in devices if device.physical_function is not None)
    yield from (*boot.later.driverctl, *boot.later.may_take, *boot.later.virtual_functions)
    yield from (address for device in devices for address in device.virtual_functions if device.address in boot.later.virtual_functions)
    noticed = (*boot.all_influences, *boot.influences_of_programs)
    yield from (address for influence in noticed for address in influence.addresses or ())

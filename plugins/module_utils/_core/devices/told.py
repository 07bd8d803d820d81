# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said about the boots of a host's devices: concluded once, and again when anything that was read has changed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import marshal
import operator
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.devices.pci import Device

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.cache import Cache
    from ansible_collections.vfio.variants.plugins.module_utils._core.devices.outlook import Outlook
    from ansible_collections.vfio.variants.plugins.module_utils._core.devices.pci import Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.witness import Witness

Facts = dict[str, t.Any]
# The last format of marshal that does not tell one object from two equal ones.
VALUES_ONLY = 2
_all_fields = operator.attrgetter(*(field.name for field in dataclasses.fields(Device)))


@dataclasses.dataclass(frozen=True)
class Told:
    """Forecasts in the form in which modules return them; devices of which the same is said share it."""

    facts: t.Sequence[Facts]
    on_kernels: t.Mapping[str, t.Mapping[str, int]]
    """The place in ``facts``, by address and release."""
    warnings: t.Mapping[str, t.Sequence[str]]
    """By address, for those devices that there is something to say about."""
    policy_warnings: t.Sequence[str]

    @classmethod
    def of(cls, outlook: Outlook, devices: t.Sequence[Device]) -> Told:
        facts: list[Facts] = []
        places: dict[t.Hashable, int] = {}
        on_kernels: dict[str, dict[str, int]] = {}
        for device in devices:
            on_kernels[device.address] = here = {}
            for release in outlook.boots:
                told = outlook.on_kernel(device, release)
                key = (id(told["because"]), told["claimed"], told["would_change"])
                here[release] = places.setdefault(key, len(facts))
                if here[release] == len(facts):
                    facts.append(told)
        warnings = {device.address: outlook.warnings(device) for device in devices}
        return cls(facts, on_kernels, {address: found for address, found in warnings.items() if found}, outlook.policy_warnings)

    @classmethod
    def recalled(cls, outlook: Outlook, devices: t.Sequence[Device], described: bool, witness: Witness, cache: Cache) -> Told:
        """What `of()` says, from the cache where the witness has seen nothing new.  ``described`` devices are not those of /sys."""
        witness.saw("devices", "", _fingerprint(outlook.inventory))
        whose = json.dumps([described, [device.address for device in devices]])
        return cache.concluded("forecast", whose, witness, lambda: cls.of(outlook, devices), Told.to_cache, cls.from_cache)

    def to_cache(self) -> dict[str, t.Any]:
        """As JSON can say it."""
        return vars(self)

    @classmethod
    def from_cache(cls, kept: t.Any) -> Told:
        """Raises TypeError on what `to_cache()` did not write."""
        return cls(**kept)

    def on_kernel(self, device: Device, release: str) -> Facts:
        return self.facts[self.on_kernels[device.address][release]]


def _fingerprint(inventory: Inventory) -> str:
    """Of all that is known about the devices and their drivers."""
    drivers = sorted((driver.name, driver.module or "") for driver in inventory.drivers.values())
    return hashlib.sha256(marshal.dumps([list(map(_all_fields, inventory.devices)), drivers], VALUES_ONLY)).hexdigest()

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups indistinguishable devices: one of each group is simulated for all of them."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import is_pattern, matches
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import attribute_of_another

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Key, Rule


@dataclasses.dataclass(frozen=True)
class NamedAddresses:
    """The addresses, and the patterns of addresses, by which devices of one identity can be distinguished."""

    addresses: frozenset[str]
    patterns: tuple[str, ...]

    @classmethod
    def of(cls, rules: t.Iterable[Rule], others: t.Iterable[str] = ()) -> NamedAddresses:
        """Those that the rules ask for, and the addresses of ``others``."""
        asked = {address for rule in rules for key in rule.keys for address in _asked_addresses(key)}
        patterns = {address for address in asked if is_pattern(address)}
        return cls(frozenset((*(asked - patterns), *others)), tuple(sorted(patterns)))

    def key(self, device: Device) -> tuple[t.Hashable, ...]:
        """The same for devices that are alike: what a rule can ask of a device follows from its modalias, revision and address."""
        address = device.address
        place = address if address in self.addresses else tuple(matches(address, pattern) for pattern in self.patterns)
        return device.modalias, device.revision, place


@dataclasses.dataclass(frozen=True)
class DeviceClasses:
    """``first`` has each device's representative, by address; ``members`` the devices that each represents, itself included."""

    first: t.Mapping[str, Device]
    members: t.Mapping[str, t.Sequence[Device]]

    @classmethod
    def of(cls, devices: t.Sequence[Device], boot: Boot) -> DeviceClasses:
        """Two devices are equivalent if they are of one identity and no rule, list or fact of the boot distinguishes them."""
        rules = [rule for stage in boot.stages for rule in stage.rules.rules]
        names = NamedAddresses.of(rules, _written_addresses(devices, boot, rules))
        classes: dict[tuple[t.Hashable, ...], list[Device]] = {}
        for device in devices:
            address = device.address
            holder, declined = boot.held_by_built_in.get(address), boot.declined.get(address)
            key = (*names.key(device), device.physical_function, holder, declined, address in boot.maybe_built_in)
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


def _asked_addresses(key: Key) -> t.Sequence[str]:
    """The addresses, or patterns of addresses, that a rule's key matches on; the kernel's have no capital letters."""
    by_address = key.is_match and (key.name in ("KERNEL", "KERNELS") or key.attribute == "PCI_SLOT_NAME")
    value = key.value.lower() if key.ignores_case else key.value
    return value.split("|") if by_address else ()


def _written_addresses(devices: t.Sequence[Device], boot: Boot, rules: t.Iterable[Rule]) -> t.Iterator[str]:
    """Addresses that are written to or assigned, and those of physical functions, which distinguish their virtual functions."""
    keys = [key for rule in rules for key in rule.keys]
    yield from (another[0] for another in map(attribute_of_another, keys) if another is not None)
    yield from (key.value for key in keys if not key.is_match)
    yield from (device.physical_function for device in devices if device.physical_function is not None)
    yield from (*boot.later.driverctl, *boot.later.may_take, *boot.later.virtual_functions)
    influences = (*boot.influences, *boot.later.influences, *(one for stage in boot.stages for one in stage.influences))
    yield from (address for influence in influences for address in influence.addresses or ())

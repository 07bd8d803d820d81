# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups indistinguishable devices: one of each group is simulated for all of them."""

from __future__ import annotations

import dataclasses
import fnmatch
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import attribute_of_another

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Key

_WILDCARD = re.compile(r"[*?\[]")


@dataclasses.dataclass(frozen=True)
class DeviceClasses:
    """``first`` has each device's representative, by address; ``counts`` the number of devices that each represents."""

    first: t.Mapping[str, Device]
    counts: t.Mapping[str, int]

    @classmethod
    def of(cls, devices: t.Sequence[Device], boot: Boot) -> DeviceClasses:
        """Two devices are equivalent if they have the same modalias and no rule, list or fact of the boot names either by address."""
        named = _named(devices, boot)
        patterns = sorted(_patterns(boot))
        firsts: dict[tuple[t.Hashable, ...], Device] = {}
        first: dict[str, Device] = {}
        counts: dict[str, int] = {}
        for device in devices:
            address = device.address
            told_apart = address if address in named else tuple(fnmatch.fnmatchcase(address, pattern) for pattern in patterns)
            holder = boot.held_by_built_in.get(address)
            declined = boot.declined.get(address)
            key = (device.modalias, device.revision, device.physical_function, told_apart, holder, declined, address in boot.maybe_built_in)
            first[address] = firsts.setdefault(key, device)
            counts[first[address].address] = counts.get(first[address].address, 0) + 1
        return cls(first, counts)

    @property
    def representatives(self) -> tuple[Device, ...]:
        return tuple(dict.fromkeys(self.first.values()))


def address_patterns(key: Key) -> t.Sequence[str]:
    """The addresses, or patterns of addresses, that a rule's key matches on."""
    by_address = key.is_match and (key.name in ("KERNEL", "KERNELS") or key.attribute == "PCI_SLOT_NAME")
    return key.value.split("|") if by_address else ()


def is_pattern(text: str) -> bool:
    return _WILDCARD.search(text) is not None


def _keys(boot: Boot) -> t.Iterator[Key]:
    return (key for stage in boot.stages for rule in stage.rules.rules for key in rule.keys)


def _patterns(boot: Boot) -> frozenset[str]:
    return frozenset(pattern for key in _keys(boot) for pattern in address_patterns(key) if is_pattern(pattern))


def _named(devices: t.Sequence[Device], boot: Boot) -> frozenset[str]:
    """Addresses that appear in the configuration, and those of physical functions, which distinguish their virtual functions."""
    keys = list(_keys(boot))
    found = {address for key in keys for address in address_patterns(key)}
    found.update(another[0] for another in map(attribute_of_another, keys) if another is not None)
    found.update(key.value for key in keys if not key.is_match)
    found.update(device.physical_function for device in devices if device.physical_function is not None)
    return frozenset((*found, *boot.later.driverctl, *boot.later.may_take, *boot.later.virtual_functions))

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What creates the virtual functions that exist now when the host boots again: the kernel clears them all (sriov_init() in iov.c)."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Making
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import parameters
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import parse_number
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import ADD, BIND

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rule import Rule

ATTRIBUTE = "sriov_numvfs"
OPTIONS = ("vf", "sriov", "virtfn")
"""What names of parameters have in common by which drivers create functions: max_vfs of igb, num_vfs of be2net, lpfc_sriov_nr_virtfn."""

LIMITING = ("xe", "i915")
"""Drivers whose `max_vfs` is the most that can be created, and creates none."""


def read(root: Stage, inventory: Inventory, cmdline: Cmdline) -> tuple[dict[str, Making], dict[str, str]]:
    """Both by the physical function's address: what is sure to create its functions, and why that of existing ones is not known."""
    found: dict[str, Making] = {}
    doubts: dict[str, str] = {}
    owners = {device.physical_function for device in inventory.devices}
    writing = tuple(rule for rule in root.rules.rules if _writes(rule))
    others = {device.address: device for device in inventory.devices} if writing else {}
    for device in inventory.devices if writing or owners != {None} else ():
        if not device.max_virtual_functions and device.address not in owners:
            continue
        given = _Given(device, root, writing)
        making = given.by_rules(others, cmdline)
        if making is not None and not given.by_others():
            found[device.address] = making
        elif device.address in owners:
            doubts[device.address] = given.doubt
    return found, doubts


def _writes(rule: Rule) -> bool:
    """Whether a rule writes the attribute, be it by a path from another device."""
    return any(key.name == "ATTR" and not key.is_match and (key.attribute or "").endswith(ATTRIBUTE) for key in rule.keys)


class _Given:
    """What is configured for one physical function."""

    def __init__(self, physical: Device, root: Stage, writing: t.Sequence[Rule]) -> None:
        self._physical = physical
        self._root = root
        self._writing = writing
        self._unclear: dict[str, None] = {}

    def by_rules(self, others: t.Mapping[str, Device], cmdline: Cmdline) -> Making | None:
        """What rules are sure to create at the function's own events."""
        made: dict[str, tuple[int, str]] = {}
        for action in (ADD, BIND) if self._writing else ():
            rules = self._root.rules.matching(self._physical, self._root.kernel.release, others, action, cmdline)
            made.update((action, one) for one in self._numbers(rules))
        sure = set(made.values())
        if self._unclear or len(sure) != 1:
            self._unclear.update((source, None) for _count, source in sorted(sure))
            return None
        ((count, source),) = sure
        return Making(count, source, ADD in made, BIND in made)

    def _numbers(self, rules: t.Iterable[tuple[Rule, bool]]) -> t.Iterator[tuple[int, str]]:
        """Those that take effect: a number changes from nought and to it, and none that is too large is taken (sriov_numvfs_store())."""
        count = 0
        most = self._physical.max_virtual_functions or len(self._physical.virtual_functions)
        for rule, certain in rules:
            value = rule.value("ATTR", ATTRIBUTE)
            if value is None:
                continue
            number = parse_number(value)
            if not certain or number is None:
                self._unclear[str(rule)] = None
            elif number == 0 or (count == 0 and 0 < number <= most):
                count = number
                yield count, str(rule)

    @property
    def doubt(self) -> str:
        address = self._physical.address
        makers = (*self._unclear, *self.by_others())
        if makers:
            return f"{makers[0]} may create virtual functions of {address}; whether this is one of them cannot be determined."
        return (
            f"Nothing that was seen creates virtual functions of {address}, and a boot begins without any: this one is there again only "
            "if it is created by hand, or by what was not seen. A claim with `vfs` creates them at each boot."
        )

    def by_others(self) -> tuple[str, ...]:
        """What may create them before a rule at the function's own events does: a number is only changed from nought."""
        return (*self._from_elsewhere(), *self._options())

    def _from_elsewhere(self) -> t.Iterator[str]:
        """The rules that write it at the event of another device, such as the function's interface, unless they name other functions."""
        for rule in self._writing:
            paths = [key.attribute or "" for key in rule.keys if key.name == "ATTR" and not key.is_match]
            asked = [key.value for key in rule.keys if key.name in ("KERNEL", "KERNELS") and key.operator == "=="]
            named = [text for text in (*paths, *asked) if ":" in text]
            if ATTRIBUTE not in paths and (not named or any(self._physical.address in text or "*" in text for text in named)):
                yield str(rule)

    def _options(self) -> t.Iterator[str]:
        """Options of its driver."""
        driver = self._physical.driver
        given = () if driver is None or driver in LIMITING else parameters.given_to(self._root.config, driver)
        return (f"{one.source}: {one}" for one in given if any(part in one.name.lower() for part in OPTIONS))

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The udev rules that set driver_override in a device's own event, and load the driver's module there.

Events of different devices run in parallel, so two more things are said.  Where another card's event has loaded the module
already, nobody would offer the device to it again: hence drivers_probe.  And where another card's event loads the native
driver first, that would take every unbound card it knows: hence the override is set at the event of any PCI function for
cards that share their native driver with others.
"""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.selector import Selector
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import DEFAULT_STRATEGY, Decision, DriverChoice

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.virtual_functions import Creation
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

Keys = tuple[str, ...]


def rule_lines(decisions: t.Sequence[Decision], sharing: t.Container[str] = (), similar: t.Container[str] = ()) -> tuple[str, ...]:
    """One line for each selector, card and driver; where kernels differ in the driver, one for each driver.

    Each line pins the vendor and device that the claim found, so that after a renumbering no other card is taken.
    ``sharing`` are the addresses of cards whose native driver another card's event may load, ``similar`` those of cards that have
    their vendor and device in common with an unclaimed card: a rule for an address pins their subsystem and class as well.
    """
    first = (line for decision in decisions if decision.device.address in sharing for line in _lines_at_any_event(decision, similar))
    return (*first, *_lines_at_own_event(decisions, similar))


def creating_lines(creations: t.Iterable[Creation]) -> tuple[str, ...]:
    """One line for each physical function: its virtual ones are offered to no driver but by their override, and are created.

    Only a bound function can have some: hence also the event "bind", after which the driver is there.  At an "add" before that the last
    assignment fails, and udev goes on.
    """
    lines = []
    for creation in creations:
        device = creation.physical
        keys = [f'KERNEL=="{device.address}"', f'ATTR{{vendor}}=="0x{device.vendor:04x}"', f'ATTR{{device}}=="0x{device.device:04x}"']
        does = ('ATTR{sriov_drivers_autoprobe}="0"', f'ATTR{{sriov_numvfs}}="{creation.count}"')
        lines.append(", ".join(('ACTION=="add|bind"', 'SUBSYSTEM=="pci"', *keys, *does)))
    return tuple(lines)


def native_lines(decisions: t.Sequence[Decision], natives: t.Mapping[str, t.Sequence[str]]) -> tuple[str, ...]:
    """For a boot in which the policy is switched off: load ``natives``, by address of the card, although they are blacklisted.

    A blacklist keeps out what is sought by a device's alias, not what `modprobe` is asked for by name.  A card that has moved is
    found, too.
    """
    lines: dict[str, None] = {}
    for decision in decisions:
        device = decision.device
        keys = (f'ATTR{{vendor}}=="0x{device.vendor:04x}"', f'ATTR{{device}}=="0x{device.device:04x}"')
        for native in natives.get(device.address, ()):
            lines[_line(keys, None, f'RUN{{program}}+="/sbin/modprobe -q {native}"')] = None
    return tuple(lines)


def lines_for(device: Device, driver: str, module: str) -> tuple[str, ...]:
    """The lines of one card that is claimed by its address, with other cards of its native driver in the host."""
    selector = Selector(device.address, address=device.address)
    choice = DriverChoice("", module, driver)
    return rule_lines((Decision(device, Claim((selector,), driver), (selector,), DEFAULT_STRATEGY, (choice,)),), (device.address,))


def _lines_at_any_event(decision: Decision, similar: t.Container[str]) -> t.Iterator[str]:
    """`[pci/…]` is another device than the event's (udev_resolve_subsys_kernel() in systemd)."""
    device = decision.device
    its = f"[pci/{device.address}]"
    keys = [f'ATTR{{{its}vendor}}=="0x{device.vendor:04x}"', f'ATTR{{{its}device}}=="0x{device.device:04x}"']
    if device.address in similar:
        keys += [key.replace("ATTR{", f"ATTR{{{its}") for key in _all_of_modalias(device)]
    for choice, condition in _by_kernel(decision):
        yield _line(tuple(keys), condition, f'ATTR{{{its}driver_override}}="{choice.driver}"')


def _lines_at_own_event(decisions: t.Iterable[Decision], similar: t.Container[str]) -> tuple[str, ...]:
    wanted: dict[Keys, list[Decision]] = {}
    for decision in decisions:
        if decision.strategy == "ids":
            continue
        for selector in decision.selectors:
            keys = _keys(selector, decision.device)
            if selector.names_address and decision.device.address in similar:
                keys = tuple(dict.fromkeys((*keys, *_all_of_modalias(decision.device))))
            wanted.setdefault(keys, []).append(decision)
    lines: dict[str, None] = {}
    for keys, same in wanted.items():
        alike = len({decision.choices for decision in same}) == 1
        for decision in same:
            exact = keys if alike else tuple(dict.fromkeys((*keys, *_all_of_modalias(decision.device))))
            lines.update(dict.fromkeys(_line(exact, condition, *_takes(choice)) for choice, condition in _by_kernel(decision)))
    return tuple(lines)


def _keys(selector: Selector, device: Device) -> Keys:
    keys = [] if selector.address is None else [f'KERNEL=="{selector.address}"']
    keys += [f'ATTR{{vendor}}=="0x{device.vendor:04x}"', f'ATTR{{device}}=="0x{device.device:04x}"']
    if selector.subsystem_vendor is not None:
        keys.append(_subsystem_vendor(selector.subsystem_vendor))
    if selector.subsystem_device is not None:
        keys.append(_subsystem_device(selector.subsystem_device))
    if selector.class_prefix is not None:
        keys.append(f'ATTR{{class}}=="0x{selector.class_prefix}{"*" if len(selector.class_prefix) < 6 else ""}"')
    return tuple(keys)


def _all_of_modalias(device: Device) -> Keys:
    """Cards of one ID can have different best variants; what else an alias can ask for tells them apart."""
    return (
        _subsystem_vendor(device.subsystem_vendor),
        _subsystem_device(device.subsystem_device),
        f'ATTR{{class}}=="0x{device.class_code:06x}"',
    )


def _subsystem_vendor(number: int) -> str:
    return f'ATTR{{subsystem_vendor}}=="0x{number:04x}"'


def _subsystem_device(number: int) -> str:
    return f'ATTR{{subsystem_device}}=="0x{number:04x}"'


def _by_kernel(decision: Decision) -> t.Iterator[tuple[DriverChoice, str | None]]:
    """The different choices with the kernels they are for: the newest kernel's holds for every other one, too."""
    default = decision.default
    others: dict[tuple[str, str], list[DriverChoice]] = {}
    for choice in decision.choices:
        if (choice.module, choice.driver) != (default.module, default.driver):
            others.setdefault((choice.module, choice.driver), []).append(choice)
    releases = sorted(choice.release for same in others.values() for choice in same)
    yield default, f'SYSCTL{{kernel/osrelease}}!="{"|".join(releases)}"' if releases else None
    for same in others.values():
        yield same[0], f'SYSCTL{{kernel/osrelease}}=="{"|".join(choice.release for choice in same)}"'


def _takes(choice: DriverChoice) -> tuple[str, ...]:
    """udev writes attributes in this order while it reads the rule, and loads modules once it has read all rules."""
    return (
        f'ATTR{{driver_override}}="{choice.driver}"',
        'ATTR{[subsystem/pci]drivers_probe}="$kernel"',
        f'RUN{{builtin}}+="kmod load {choice.module}"',
    )


def _line(keys: Keys, condition: str | None, *assignments: str) -> str:
    match = ['ACTION=="add"', 'SUBSYSTEM=="pci"', *keys, *([condition] if condition else [])]
    return ", ".join((*match, *assignments))

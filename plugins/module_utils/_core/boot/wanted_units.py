# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units that udev rules have systemd start for devices, even disabled ones (systemd.device(5): SYSTEMD_WANTS, with the tag systemd)."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.udev.evaluation import Evaluation
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.event_context import EventContext
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rule import Rule
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import ADD, Subject, of_subsystem

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules

WANTS = "SYSTEMD_WANTS"
TAG = "systemd"
MOST_DEVICES = 4096


def wanted_units(rules: Rules, release: str, cmdline: Cmdline, inventory: Inventory) -> dict[str, frozenset[str] | None]:
    """By unit, the addresses of the functions that it is started for; None if devices of other buses have it started."""
    from_hwdb = {unit: None for value, _place in rules.files.from_hwdb.get(WANTS, ()) for unit in value.split()}
    asking = {rule.path for rule in rules.rules if _asks(rule)}
    if not asking:
        return dict(from_hwdb)
    others = {device.address: device for device in inventory.devices[:MOST_DEVICES]}
    around = EventContext(release, cmdline, rules.files, others, complete=rules.complete)
    kept = tuple(rule for rule in rules.rules if rule.path in asking or _sets(rule))
    found: dict[str, set[str] | None] = {}
    for device in others.values():
        for unit in _units(Evaluation(kept, around, Subject.of(device, others), ADD)):
            known = found.setdefault(unit, set())
            if known is not None:
                known.add(device.address)
    foreign = tuple(
        rule for rule in kept if not any(key.name == "SUBSYSTEM" and (key.operator, key.value) == ("==", "pci") for key in rule.keys)
    )
    for unit in _units(Evaluation(foreign, around, of_subsystem(None), ADD)):
        found[unit] = None
    found.update(from_hwdb)
    return {unit: None if addresses is None else frozenset(addresses) for unit, addresses in found.items()}


def _asks(rule: Rule) -> bool:
    return any(key.name == "ENV" and key.attribute == WANTS and not key.is_match for key in rule.keys)


def _sets(rule: Rule) -> bool:
    return any(key.name in ("ENV", "TAG", "IMPORT", "GOTO", "LABEL") for key in rule.keys)


def _units(evaluation: Evaluation) -> t.Iterator[str]:
    """Those that the event may start; a name that cannot be determined stands as the rule has it."""
    done = evaluation.done()
    if TAG not in evaluation.state.tags and evaluation.state.tags_known:
        return
    for one in done:
        if one.key.name == "ENV" and one.key.attribute == WANTS:
            yield from (one.key.value if one.value is None else one.value).split()

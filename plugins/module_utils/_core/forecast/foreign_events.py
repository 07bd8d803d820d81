# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What udev rules may do to PCI functions at events of other devices: network interfaces, disks, graphics cards.

Which of these there are, and what they are called, is not known before the boot: what such a rule can do is noticed, with the
functions that the rule can reach by the keys about the devices above.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import OWN, Noticed, plain
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import EVENT_DEVICE
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.answers import EventState, on_one_of_chain
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.attribute_paths import acts
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.evaluation import Evaluation
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import ADD, BIND, CHANGE, IDENTITY, Subject, of_subsystem

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.rule_effects import RuleEffects
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.event_context import EventContext
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import Key
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rule import AppliedKey, Rule

SIMULATED = frozenset(("pci", "drivers", "module", "subsystem"))
ACTIONS = (ADD, CHANGE, BIND, "online", "move")
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
# How a rule names PCI functions alone: by address, or a pattern of addresses.
_ADDRESSES = re.compile(r"[0-9a-fA-F?*\[\]-]{4,}:[0-9a-fA-F?*\[\]^-]*:?[0-9a-fA-F?*.\[\]^-]*")
_ADDRESS = re.compile(r"[0-9a-fA-F]{4,}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]")
_NUMBER = re.compile(r"0x(?!00)[0-9a-f]{4}")
# The base classes of functions that have children in these subsystems; those that say little may have any.
_CLASSES: t.Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(("net", "infiniband", "ieee80211", "rfkill", "ptp"), (0x02, 0x0D)),
    **dict.fromkeys(("drm", "graphics", "backlight", "drm_dp_aux_dev"), (0x03,)),
    **dict.fromkeys(("sound", "hdaudio"), (0x03, 0x04)),
    **dict.fromkeys(("block", "nvme", "scsi", "scsi_disk", "scsi_generic", "scsi_host", "ata_port", "bsg", "enclosure"), (0x01,)),
    **dict.fromkeys(("usb", "usbmisc", "hid", "hidraw", "input", "video4linux"), (0x0C, 0x04)),
}
_UNTOLD = (0x00, 0x0B, 0x12, 0xFF)


def foreign_influences(stage: Stage, around: EventContext, effects: RuleEffects) -> tuple[Influence, ...]:
    """What the rules of a stage may do at other devices' events."""
    rules = [rule for rule in stage.rules.rules if _may_be_foreign(rule)]
    acting = {id(rule) for rule in rules if any(_does(key) and not effects.is_inert(key) for key in rule.keys)}
    if not acting:
        return ()
    paths = {rule.path for rule in rules if id(rule) in acting}
    foreign = set(map(id, rules))
    rules = [rule for rule in stage.rules.rules if rule.path in paths and (id(rule) in foreign or rule.label is not None)]
    found: dict[Influence, None] = {}
    for subsystem in (*_named(rules), None):
        subject = of_subsystem(subsystem)
        for action in ACTIONS:
            concerned = [rule for rule in rules if rule.label is not None or _concerns(rule, subsystem, action)]
            if acting.isdisjoint(map(id, concerned)):
                continue
            for done in Evaluation(concerned, around, subject, action).done():
                if _does(done.key):
                    found.update((one, None) for one in _influences(done, subject, around, effects))
    return tuple(found)


def _influences(done: AppliedKey, subject: Subject, around: EventContext, effects: RuleEffects) -> t.Iterator[Influence]:
    unsure = dataclasses.replace(done, certain=False)
    reachable: frozenset[str] | None = None
    for effect in map(plain, effects.of(unsure, subject, "")):
        if not isinstance(effect, Noticed):
            continue
        one = effect.influence
        through = done.key.name == "ATTR" and one.addresses is None and done.key.of_another is None
        by_name = one.addresses is not None and bool({EVENT_DEVICE, OWN} & one.addresses)
        if through or by_name:
            reachable = _reachable(done.rule.about_parents, subject.subsystem, around) if reachable is None else reachable
            one = dataclasses.replace(one, addresses=reachable)
        yield one


def _reachable(keys: tuple[Key, ...], subsystem: str | None, around: EventContext) -> frozenset[str]:
    """The addresses of the functions that may be above a device at whose event the rule matches."""
    by_child = all(_may_be_of_child(key, subsystem) for key in keys)
    state = EventState()
    found = []
    for device in around.others.values():
        if device.is_bridge or not _may_have(device, subsystem):
            continue
        above = dataclasses.replace(Subject.of(device, around.others), is_event_s=False)
        if by_child or on_one_of_chain(keys, above, around, state).holds is not False:
            found.append(device.address)
    return frozenset(found)


def _may_be_of_child(key: Key, subsystem: str | None) -> bool:
    """Whether the event's own device, or one between it and the PCI function, may agree with a key about the devices above."""
    if key.name == "KERNELS" and not key.is_negated:
        return not all(_ADDRESS.fullmatch(name) for name in key.value.split("|"))
    if key.name == "SUBSYSTEMS" and not key.is_negated:
        return key.value != "pci" and (subsystem is None or key.matches(subsystem) or key.value != subsystem)
    if key.name == "ATTRS" and key.attribute == "device" and not key.is_negated and _NUMBER.fullmatch(key.value):
        # Of the buses below PCI virtio has the attribute, with numbers that are small.
        return False
    return not (key.name == "ATTRS" and key.attribute in IDENTITY - {"modalias", "class", "subsystem", "device"})


def _may_have(device: Device, subsystem: str | None) -> bool:
    classes = _CLASSES.get(subsystem or "")
    base = device.class_code >> 16
    return classes is None or base in (*classes, *_UNTOLD) or any(node.startswith(f"{subsystem}/") for node in device.nodes)


def _named(rules: t.Iterable[Rule]) -> dict[str, None]:
    """The subsystems that rules name."""
    keys = (key for rule in rules for key in rule.keys if key.name == "SUBSYSTEM" and key.is_match)
    return {name: None for key in keys for name in key.value.split("|") if _PLAIN.fullmatch(name) and name not in SIMULATED}


def _concerns(rule: Rule, subsystem: str | None, action: str) -> bool:
    """Whether a rule may match an event of a subsystem, or of one that no rule names."""
    for key in rule.keys:
        if key.is_match and key.name == "ACTION" and not key.matches(action):
            return False
        if key.is_match and key.name == "SUBSYSTEM":
            if subsystem is not None and not key.matches(subsystem):
                return False
            if subsystem is None and not key.is_negated and all(map(_PLAIN.fullmatch, key.value.split("|"))):
                return False
    return True


def _may_be_foreign(rule: Rule) -> bool:
    return not any(
        _is_about_functions(key)
        or (key.name == "SUBSYSTEM" and key.operator == "==" and SIMULATED.issuperset(key.value.split("|")))
        or (key.name == "ACTION" and key.is_match and not any(key.matches(action) for action in ACTIONS))
        for key in rule.keys
    )


def _is_about_functions(key: Key) -> bool:
    """Whether no other device than a PCI function agrees with a key."""
    if key.operator != "==":
        return False
    if key.name == "KERNEL":
        return all(_ADDRESSES.fullmatch(name) for name in key.value.split("|"))
    if key.name == "ATTR":
        return key.attribute in IDENTITY and key.attribute not in ("modalias", "subsystem") and key.value.startswith("0x")
    if key.name == "ENV":
        return (key.attribute or "").startswith("PCI_") or (key.attribute == "MODALIAS" and key.value.startswith("pci:"))
    return key.name == "DEVPATH" and key.value.rpartition("/")[2].count(":") > 1


def _does(key: Key) -> bool:
    """Whether a key may act on a PCI function though the event is another's; the modalias of another bus brings no PCI driver."""
    if acts(key):
        return "/" in (key.attribute or "") or key.of_another is not None
    if key.name == "SYSCTL":
        return not key.is_match
    if key.name not in ("RUN", "PROGRAM", "IMPORT"):
        return False
    if key.is_builtin:
        words = key.words
        return words[:2] == ["kmod", "load"] and any(not word.startswith(("$env{MODALIAS}", "%E{MODALIAS}")) for word in words[2:])
    return key.name != "IMPORT" or key.attribute == "program"

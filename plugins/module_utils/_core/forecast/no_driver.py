# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What decides that a device has no driver, where no module was tried for it."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Coldplug, Reason
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.compared_rules import around_of
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import said
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.rule_effects import MODALIAS
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.evaluation import CLEARS, Evaluation
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import ADD, Subject

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.event_context import EventContext
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import Key
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rule import Rule
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import Devices

DRIVERS_RULES = "/80-drivers.rules"
MOST = 64
"""How many rules are left out in turn."""


def why_none(device: Device, boot: Boot, others: Devices) -> Reason:
    """The line that keeps every module away; that no module matches, only where none does."""
    native = next((one.module for stage in boot.stages for one in stage.kernel.natives(device.modalias)), None)
    lines = boot.stages[-1].config.aliases(device.modalias) if boot.stages else ()
    if lines:
        return said(lines[0])
    if native is None:
        return Reason(f"modules.alias of {boot.release}", f"no module matches {device.modalias}")
    root = boot.stages[-1]
    if not any(isinstance(work, Coldplug) for step in root.steps for work in step):
        return root.no_coldplug or Reason(root.place, f"udev does not replay the devices' events, by which {native} is loaded")
    around = around_of(boot, root, others)
    if _loads(device, root.rules.rules, around, others):
        return Reason(f"modules.alias of {boot.release}", f"{native} matches the device, and registers no driver that takes it")
    return _rule(device, root, around, others, native) or _missing_rule(root, native)


def _missing_rule(root: Stage, native: str) -> Reason:
    masked = next((path for path in root.rules.masked if path.endswith(DRIVERS_RULES)), None)
    if masked is not None:
        return Reason(masked, f"is not a file and masks the rules by which udev loads drivers, {native} among them")
    return Reason("udev rules", f"none of them loads {native}, which matches the device, by `kmod load`")


def _rule(device: Device, stage: Stage, around: EventContext, others: Devices, native: str) -> Reason | None:
    """The rule without which udev would load by the device's alias."""
    rules = stage.rules.rules
    deciding = [(place, key) for place, rule in enumerate(rules) for key in [_deciding(rule)] if key is not None]
    for place, key in deciding[:MOST]:
        if _loads(device, (*rules[:place], *rules[place + 1 :]), around, others):
            return Reason(str(rules[place]), f"{key.written}: udev does not load {native} by the device's alias")
    return None


def why_not_loaded(device: Device, boot: Boot, others: Devices, modules: t.Collection[str]) -> Reason | None:
    """The rule without which udev would load one of the modules in the device's event, for which another rule asks by its name."""
    for stage in reversed(boot.stages):
        rules, around = stage.rules.rules, around_of(boot, stage, others)
        deciding = [(place, key) for place, rule in enumerate(rules) for key in [_deciding(rule)] if key is not None]
        for place, key in deciding[:MOST]:
            without = _loaded(device, (*rules[:place], *rules[place + 1 :]), around, others)
            if any(normalize_module_name(word) in modules for words in without for word in words):
                return Reason(str(rules[place]), f"{key.written}: udev does not load {min(modules)}, for which another rule asks")
    return None


def _loads(device: Device, rules: t.Iterable[Rule], around: EventContext, others: Devices) -> bool:
    """Whether it is certain that udev loads by the device's alias."""
    return any(device.modalias in words for words in _loaded(device, rules, around, others))


def _loaded(device: Device, rules: t.Iterable[Rule], around: EventContext, others: Devices) -> t.Iterator[t.Sequence[str]]:
    """The names and aliases of each `kmod load` that is certain to be run."""
    evaluation = Evaluation(rules, around, Subject.of(device, others), ADD)
    done = evaluation.done()
    modalias = evaluation.state.properties.get(MODALIAS, device.modalias)
    values = ((one.value or "").split() for one in done if one.certain)
    yield from (words[2:] or [modalias or ""] for words in values if words[:2] == ["kmod", "load"])


def _deciding(rule: Rule) -> Key | None:
    """What a rule has that keeps another one from loading a module."""
    for key in rule.keys:
        changes = key.name == "ENV" and key.attribute == MODALIAS and not key.is_match
        if changes or key.name == "GOTO" or (key.name == "RUN" and key.operator in CLEARS):
            return key
    return None

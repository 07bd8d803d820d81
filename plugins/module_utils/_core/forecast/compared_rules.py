# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of a stage, compared with the events in it: which of them agree, and with what they act.

That does not depend on the modules that are loaded by then, so all steps of a stage share it.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import operator
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import INITRAMFS, Coldplug
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.distinctions import Distinctions
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.rule_effects import MODALIAS
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.answers import EventState, match_keys
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.attribute_paths import acts
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.evaluation import ESCAPES, ESCAPES_NOT, Evaluation
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.event_context import EventContext
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rule import Rule
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import ADD, Subject, of_bus

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, Stage, StageName
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import Key
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rule import AppliedKey
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import Devices

_DECIDED = frozenset(("ACTION", "SUBSYSTEM", "SYSCTL", "CONST"))
"""Keys whose result is the same for every event of one kind."""
_MATTERS = frozenset(("GOTO", "LABEL", "RUN", "SYSCTL"))
_ABOUT_SIGNS = (ESCAPES, ESCAPES_NOT)


class ComparedRules:
    """Of one stage.  ``others`` are all devices, by address."""

    def __init__(self, boot: Boot, stage: Stage, others: Devices) -> None:
        self.boot = boot
        self.stage = stage
        self.others = others
        self.around = around_of(boot, stage, others)
        self._functions: dict[str, ComparedFunctions] = {}
        self._of_others: dict[tuple[str | None, str | None], tuple[AppliedKey, ...]] = {}
        self._about: dict[str, tuple[Rule, ...]] = {}

    def with_functions(self, action: str) -> ComparedFunctions:
        """With the events of PCI functions."""
        if action not in self._functions:
            self._functions[action] = ComparedFunctions(self.stage.rules.rules, self.around, action)
        return self._functions[action]

    def with_other(self, subject: Subject) -> tuple[AppliedKey, ...]:
        """What udev does at the "add" event of a driver, a module or the bus."""
        key = (subject.subsystem, subject.name)
        if key not in self._of_others:
            rules = self._rules_about(subject.subsystem or "")
            self._of_others[key] = Evaluation(rules, self.around, subject, ADD).done() if rules else ()
        return self._of_others[key]

    def _rules_about(self, subsystem: str) -> tuple[Rule, ...]:
        """Empty unless one of them can do something."""
        if subsystem not in self._about:
            subject = dataclasses.replace(of_bus(), name=None, devpath=None, subsystem=subsystem)
            found = tuple(reduced(self.stage.rules.rules, self.around, subject, ADD))
            acting = any(_names_subsystem(rule, subsystem) for rule in self.stage.rules.rules)
            self._about[subsystem] = found if acting else ()
        return self._about[subsystem]


class ComparedStages:
    """Those of a boot, each compared once."""

    def __init__(self, boot: Boot, others: Devices) -> None:
        self._boot = boot
        self._others = others
        self._known: dict[StageName, ComparedRules] = {}

    def of(self, stage: Stage) -> ComparedRules:
        if stage.name not in self._known:
            self._known[stage.name] = ComparedRules(self._boot, stage, self._others)
        return self._known[stage.name]


class EventOfFunction(t.NamedTuple):
    """What udev does at an event of a PCI function, and the alias that its "kmod load" asks for in the end, if that is known."""

    subject: Subject
    done: tuple[AppliedKey, ...]
    loaded: str | None


class ComparedFunctions:
    """Of one action; functions that no rule distinguishes share one answer."""

    def __init__(self, rules: t.Iterable[Rule], around: EventContext, action: str) -> None:
        self._action = action
        self._around = around
        self._reduced = tuple(reduced(rules, around, Subject(None, "pci", is_event_s=True), action))
        self._rules = _RulesByAddress(self._reduced)
        self._names = Distinctions.of(self._reduced, around)
        self._known: dict[tuple[t.Hashable, ...], EventOfFunction] = {}
        self._by_address: dict[str, EventOfFunction] = {}

    @functools.cached_property
    def is_idle(self) -> bool:
        """Whether no rule does anything at such an event."""
        return not any(_does_something(rule) for rule in self._reduced)

    def event(self, device: Device) -> EventOfFunction:
        if device.address not in self._by_address:
            key = self._names.key(device)
            if key not in self._known:
                self._known[key] = self._compared(device)
            self._by_address[device.address] = self._known[key]
        return self._by_address[device.address]

    def _compared(self, device: Device) -> EventOfFunction:
        subject = Subject.of(device, self._around.others)
        evaluation = Evaluation(self._rules.about(device.address), self._around, subject, self._action, self._rules.about)
        done = evaluation.done()
        return EventOfFunction(subject, done, evaluation.state.properties.get(MODALIAS, device.modalias))


def around_of(boot: Boot, stage: Stage, others: Devices) -> EventContext:
    """What udev finds in a stage."""
    rules = stage.rules
    groups = boot.has_iommu if boot.iommu_doubt is None else None
    in_initrd = stage.name == INITRAMFS
    earlier = itertools.takewhile(lambda one: one is not stage, boot.stages)
    is_first = not any(isinstance(work, Coldplug) for one in earlier for step in one.steps for work in step)
    return EventContext(stage.kernel.release, boot.cmdline, rules.files, others, in_initrd, rules.complete, groups, stage.endings, is_first)


def reduced(rules: t.Iterable[Rule], around: EventContext, subject: Subject, action: str) -> t.Iterator[Rule]:
    """The rules that may matter to one kind of event, without the keys whose result is the same for all of them."""
    state = EventState(action)
    jump: tuple[str, str] | None = None
    # Where some events are by then, of which others jump elsewhere.
    targets: set[tuple[str, str]] = set()
    for rule in rules:
        if jump is not None and jump[0] == rule.path:
            here = rule.label is not None and (rule.path, rule.label)
            if here != jump and here not in targets:
                continue
            jump = None
        if not _may_matter(rule):
            continue
        asked = [key for key in rule.keys if key.is_match and key.name in _DECIDED]
        known = {key: match_keys((key,), subject, around, state).holds for key in asked}
        if False in known.values():
            if rule.label is not None:
                yield Rule(rule.path, rule.line, tuple(key for key in rule.keys if key.name == "LABEL"))
            continue
        kept = Rule(rule.path, rule.line, tuple(key for key in rule.keys if known.get(key) is not True)) if True in known.values() else rule
        yield kept
        if kept.target is not None and all(key.name in ("GOTO", "LABEL") for key in kept.keys):
            # Every event of this kind jumps that comes here.
            jump = (kept.path, kept.target)
        elif kept.target is not None:
            targets.add((kept.path, kept.target))


def _may_matter(rule: Rule) -> bool:
    """Whether a rule can affect which driver a device is bound to, or whether and how another rule does."""
    return any(key.is_run or (not key.is_match and _key_may_matter(key)) for key in rule.keys)


def _key_may_matter(key: Key) -> bool:
    return key.name in _MATTERS or key.name in ("ENV", "TAG") or acts(key) or (key.name == "OPTIONS" and key.value in _ABOUT_SIGNS)


def _does_something(rule: Rule) -> bool:
    return any(key.is_run or (not key.is_match and (key.name in ("RUN", "SYSCTL") or acts(key))) for key in rule.keys)


class _RulesByAddress:
    """Rules indexed by the address that they match on, because a host with many claims has some for each device."""

    def __init__(self, rules: t.Iterable[Rule]) -> None:
        self._of_all: list[tuple[int, Rule]] = []
        self._of_one: dict[str, list[tuple[int, Rule]]] = {}
        for place, rule in enumerate(rules):
            # A GOTO may jump to a label.
            addresses = None if rule.label is not None else rule.addresses
            if addresses is None:
                self._of_all.append((place, rule))
            for address in addresses or ():
                self._of_one.setdefault(address, []).append((place, rule))
        self._general = tuple(rule for _place, rule in self._of_all)

    def about(self, address: str) -> tuple[Rule, ...]:
        """The rules that do not match on another address, in order."""
        if address not in self._of_one:
            return self._general
        return tuple(rule for _place, rule in sorted((*self._of_all, *self._of_one[address]), key=operator.itemgetter(0)))


def _names_subsystem(rule: Rule, subsystem: str) -> bool:
    """Whether a rule is for events of this subsystem: stock rules for all devices do nothing at those of drivers and modules."""
    return any(key.operator == "==" and _is_about(key, subsystem) for key in rule.keys)


def _is_about(key: Key, subsystem: str) -> bool:
    if key.name == "SUBSYSTEM":
        return key.matches(subsystem)
    return key.name == "DEVPATH" and (subsystem in key.value or "*" in key.value or "bus/pci" in key.value)

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What udev does when it processes an event, in order (udev-rules.c, udev-worker.c, udev-builtin-kmod.c).

Attributes are written while the rules are evaluated; the RUN list is executed afterwards, in order.
"""

from __future__ import annotations

import itertools
import operator
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import INITRAMFS, Coldplug
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.distinctions import Distinctions
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.rule_effects import MODALIAS, RuleEffects
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.answers import EventState, match_keys
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.attribute_paths import acts
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.evaluation import Evaluation
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.event_context import EventContext
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rule import Rule
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import ADD, Subject

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import Effect
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import Modprobe
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import Devices

_SETTLED = frozenset(("ACTION", "SUBSYSTEM", "SYSCTL", "CONST"))
"""Keys whose result is the same for every event of one kind."""
_MATTERS = frozenset(("GOTO", "LABEL", "RUN", "SYSCTL"))


class Events:
    """The events of one action in a stage, by default "add".  ``others`` are all devices, by address."""

    def __init__(self, boot: Boot, stage: Stage, modprobe: Modprobe, others: Devices, action: str = ADD) -> None:
        self._action = action
        self._around = around_of(boot, stage, others)
        rules = tuple(settled(stage.rules.rules, self._around, Subject(None, "pci", is_event_s=True), action))
        self._rules = _RulesByAddress(rules)
        self._names = Distinctions.of(rules, self._around)
        self._effects = RuleEffects(stage, modprobe, others, action == ADD)
        self._known: dict[tuple[t.Hashable, ...], tuple[Effect, ...]] = {}
        self._by_address: dict[str, tuple[Effect, ...]] = {}
        self.is_idle = not any(_does_something(rule) for rule in rules)
        """Whether no rule does anything at such an event."""

    @property
    def notices(self) -> bool:
        """Whether something in these events is not simulated."""
        return self._effects.notices

    def of(self, device: Device) -> tuple[Effect, ...]:
        """The effects of the device's event, in order; the same object for devices that no rule distinguishes."""
        if device.address not in self._by_address:
            key = self._names.key(device)
            if key not in self._known:
                subject = Subject.of(device, self._around.others)
                self._known[key] = tuple(self._of(subject, self._rules.about(device.address), device.modalias))
            self._by_address[device.address] = self._known[key]
        return self._by_address[device.address]

    def _of(self, subject: Subject, rules: t.Sequence[Rule], modalias: str) -> t.Iterator[Effect]:
        evaluation = Evaluation(rules, self._around, subject, self._action, self._rules.about)
        done = evaluation.done()
        loaded = evaluation.state.properties.get(MODALIAS, modalias)
        yield from self._effects.of_all(done, subject, loaded)


def around_of(boot: Boot, stage: Stage, others: Devices) -> EventContext:
    """What udev finds in a stage."""
    rules = stage.rules
    groups = boot.has_iommu if boot.iommu_doubt is None else None
    in_initrd = stage.name == INITRAMFS
    earlier = itertools.takewhile(lambda one: one is not stage, boot.stages)
    is_first = not any(isinstance(work, Coldplug) for one in earlier for step in one.steps for work in step)
    return EventContext(stage.kernel.release, boot.cmdline, rules.files, others, in_initrd, rules.complete, groups, stage.endings, is_first)


def settled(rules: t.Iterable[Rule], around: EventContext, subject: Subject, action: str) -> t.Iterator[Rule]:
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
        asked = [key for key in rule.keys if key.is_match and key.name in _SETTLED]
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
    return any(key.is_run or (not key.is_match and (key.name in _MATTERS or key.name in ("ENV", "TAG") or acts(key))) for key in rule.keys)


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

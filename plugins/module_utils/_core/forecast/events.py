# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What udev does when it processes an event, in order (udev-rules.c, udev-worker.c, udev-builtin-kmod.c).

Attributes are written while the rules are evaluated; the RUN list is executed afterwards, in order.
"""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.rule_effects import RuleEffects
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import ADD

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.compared_rules import ComparedRules
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import Effect
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import Modprobe
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device


class Events:
    """The events of one action in a stage, by default "add"."""

    def __init__(self, rules: ComparedRules, modprobe: Modprobe, action: str = ADD) -> None:
        self._compared = rules.with_functions(action)
        self._effects = RuleEffects(rules.stage, modprobe, rules.others, action == ADD)
        self._known: dict[int, tuple[Effect, ...]] = {}

    @property
    def is_idle(self) -> bool:
        """Whether no rule does anything at such an event."""
        return self._compared.is_idle

    @property
    def notices(self) -> bool:
        """Whether something in these events is not simulated."""
        return self._effects.notices

    def of(self, device: Device) -> tuple[Effect, ...]:
        """The effects of the device's event, in order; the same object for devices that no rule distinguishes."""
        event = self._compared.event(device)
        if id(event) not in self._known:
            self._known[id(event)] = tuple(self._effects.of_all(event.done, event.subject, event.loaded))
        return self._known[id(event)]

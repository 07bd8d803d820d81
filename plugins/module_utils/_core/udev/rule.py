# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One udev rule."""

from __future__ import annotations

import dataclasses
import functools
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.udev.answers import Comparisons, EventState, match
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.event_context import EventContext
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import PARENTS, PCI, Key
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import ADD, NO_DEVICES, Devices, Subject

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

_SUBSTITUTES = re.compile(r"[$%]")
_PATTERN = re.compile(r"[*?\[]")


@dataclasses.dataclass(frozen=True)
class Rule:
    """One rule, with its file and line."""

    path: str
    line: int
    keys: tuple[Key, ...]

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"

    def matches(self, device: Device, release: str | None = None, others: Devices = NO_DEVICES) -> bool | None:
        """Whether the function's "add" event matches; None if that cannot be determined from its identity.

        ``release`` is the kernel that boots, if known; ``others`` are the devices, by address, that a rule may refer to with
        ``ATTR{[pci/address]…}``.
        """
        state = EventState(ADD, written=self.writes_alone)
        answer = match(self.compared, Subject.of(device, others), EventContext(release, others=others), state)
        if answer.holds is True and (answer.drivers or any(key.is_run for key in self.keys)):
            return None
        return answer.holds

    def value(self, name: str, attribute: str | None = None) -> str | None:
        """The last value that the rule assigns to a key; None if it assigns none."""
        return next((key.value for key in reversed(self.keys) if not key.is_match and (key.name, key.attribute) == (name, attribute)), None)

    @functools.cached_property
    def in_order(self) -> tuple[Key, ...]:
        """The keys as udev carries them out."""
        return tuple(sorted(self.keys, key=lambda key: key.order))

    @functools.cached_property
    def label(self) -> str | None:
        return self.value("LABEL")

    @functools.cached_property
    def target(self) -> str | None:
        """The label at which evaluation continues if this rule matches: the first that it names."""
        return next((key.value for key in self.keys if key.name == "GOTO"), None)

    @functools.cached_property
    def addresses(self) -> frozenset[str] | None:
        """The names of the only devices that the rule can match; None if it does not name them."""
        named = [key.value for key in self.keys if key.name == "KERNEL" and key.operator == "==" and not key.ignores_case]
        if not named or _PATTERN.search(named[0]):
            return None
        return frozenset(named[0].split("|"))

    @functools.cached_property
    def compared(self) -> Comparisons:
        return Comparisons.of(self.in_order)

    @functools.cached_property
    def about_parents(self) -> tuple[Key, ...]:
        """The keys that one device of the chain must match together."""
        return tuple(key for key in self.keys if key.name in PARENTS and key.is_match)

    @functools.cached_property
    def writes_alone(self) -> str | None:
        """The one function, named by its address, that the rule writes to, if it does nothing else."""
        named = [key.of_another if not key.is_run else None for key in self.keys if key.is_run or not key.is_match]
        functions = {None if one is None or one[0] != PCI else one[1] for one in named}
        return functions.pop() if len(functions) == 1 else None

    @property
    def override(self) -> str | None:
        """The driver_override that the rule sets."""
        return self.value("ATTR", "driver_override")

    @property
    def runs_override(self) -> bool:
        """Whether a command that the rule runs mentions driver_override."""
        return any(key.name in ("RUN", "PROGRAM", "IMPORT") and "driver_override" in key.value for key in self.keys)

    @functools.cached_property
    def constant(self) -> tuple[AppliedKey, ...] | None:
        """What the rule does to every device, where that is all alike: a host with many claims has one such rule for each."""
        if not all(key.name == "ATTR" and not key.is_match and not _SUBSTITUTES.search(key.value) for key in self.keys):
            return None
        return tuple(AppliedKey(self, key, key.value, True) for key in self.keys)


@dataclasses.dataclass(frozen=True)
class AppliedKey:
    """A key that udev carries out.  ``value`` is None if a substitution in it cannot be determined.

    Not ``certain`` where it cannot be determined whether the rule matches; ``drivers`` are keys about the driver that must hold besides.
    """

    rule: Rule
    key: Key
    value: str | None
    certain: bool
    drivers: tuple[Key, ...] = ()
    doubt: Key | None = dataclasses.field(default=None, compare=False)
    """The key that cannot be decided, where it is one of this rule."""

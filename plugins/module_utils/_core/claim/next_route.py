# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host that boots next without some devices has no default route, by what is configured for its interfaces."""

from __future__ import annotations

import dataclasses
import fnmatch
import re
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.next_networks import NetworkSetting

Agreement = t.Literal["exact", "perhaps", "no"]
WILDCARDS = frozenset("*?[!")


@dataclasses.dataclass(frozen=True)
class NamesOfDevice:
    """By what the configuration of networks may name a device: its interfaces' names, their hardware addresses, its place (ID_PATH).

    ``predictable`` is a pattern of names that udev may give its interfaces.
    """

    names: frozenset[str]
    addresses: frozenset[str] = frozenset()
    path: str = ""
    predictable: re.Pattern[str] | None = None

    def has(self, name: str) -> bool:
        return name in self.names or (self.predictable is not None and self.predictable.fullmatch(name) is not None)


@dataclasses.dataclass(frozen=True)
class Named:
    """A setting that names a device.  ``alone``: nothing else gets a default route at the next boot, as far as that can be said."""

    setting: NetworkSetting
    alone: bool

    @property
    def what(self) -> str:
        """A clause, for the device as its subject."""
        if self.alone:
            return f"at the next boot it alone is to have the default route ({self.setting.source})"
        gets = "get a default route" if self.setting.has_route else "come up"
        return f"it is configured to {gets} at the next boot ({self.setting.source})"


def is_left(settings: t.Sequence[NetworkSetting], leaving: t.Sequence[NamesOfDevice], others: t.Sequence[NamesOfDevice]) -> bool:
    """Whether something else may get a default route at the next boot.

    ``leaving`` are all devices that lose their drivers, ``others`` those with an interface that keep theirs.
    """
    gone, kept = set(_on(settings, leaving)), set(_on(settings, others))
    getting = (one for one in settings if one.has_route and one.comes_up)
    return any(one in kept or (one not in gone and _may_be_for(one, others)) for one in getting)


def named_by(settings: t.Sequence[NetworkSetting], own: NamesOfDevice, route_is_left: bool) -> Named | None:
    """What is to come up on a device at the next boot; None if nothing names it."""
    reached = [one for one in _on(settings, (own,)) if one.comes_up and (one.has_route or one.has_address)]
    if reached:
        sure = [one for one in reached if one.has_route and not one.is_vague]
        return Named(sure[0] if sure else reached[0], bool(sure) and not route_is_left)
    if route_is_left:
        return None
    perhaps = (one for one in settings if one.comes_up and one.has_route and agreement(one, own) == "perhaps")
    return next((Named(one, False) for one in perhaps), None)


def _on(settings: t.Sequence[NetworkSetting], devices: t.Sequence[NamesOfDevice]) -> tuple[NetworkSetting, ...]:
    """The settings for the devices, and for interfaces on top of theirs."""
    own = [one for one in settings if any(agreement(one, device) == "exact" for device in devices)]
    found: dict[NetworkSetting, None] = dict.fromkeys(own)
    while True:
        # A setting may be for several cards, whose other names are none of these devices'.
        above = (name for one in found if one not in own for name in one.names if not WILDCARDS & set(name))
        names = {*above, *(name for one in found for name in one.upper)}
        more = [
            one
            for one in settings
            if one not in found
            and (names.intersection(one.names) or any(name in names or any(device.has(name) for device in devices) for name in one.lower))
        ]
        if not more:
            return tuple(found)
        found.update(dict.fromkeys(more))


def agreement(setting: NetworkSetting, device: NamesOfDevice) -> Agreement:
    """Whether a setting is for an interface of the device: `exact` by something that only that has."""
    answers: list[Agreement] = []
    if setting.names:
        named = any(device.has(name) for name in setting.names)
        known = device.names or {""}
        perhaps = any(WILDCARDS & set(pattern) and fnmatch.fnmatchcase(name, pattern) for pattern in setting.names for name in known)
        answers.append("exact" if named else "perhaps" if perhaps else "no")
    if setting.addresses:
        answers.append("exact" if device.addresses.intersection(setting.addresses) else "no" if device.addresses else "perhaps")
    if setting.paths:
        exact = any(path == device.path for path in setting.paths)
        answers.append("exact" if exact else "perhaps" if any(fnmatch.fnmatchcase(device.path, path) for path in setting.paths) else "no")
    if "no" in answers or not answers:
        return "no"
    return "exact" if "exact" in answers else "perhaps"


def _may_be_for(setting: NetworkSetting, others: t.Sequence[NamesOfDevice]) -> bool:
    """Whether another device may get what the setting says.

    What names an interface that is made, or that is not there, may be anything, unless more must agree: systemd brings such settings for
    containers.
    """
    is_pattern = setting.is_vague or any(WILDCARDS & set(pattern) for pattern in (*setting.names, *setting.paths))
    return not is_pattern or any(agreement(setting, device) != "no" for device in others)

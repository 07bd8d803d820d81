# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host that boots next without some devices has no default route, by what is configured for its interfaces."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import matches

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.network_setting import NetworkSetting

Agreement = t.Literal["exact", "perhaps", "no"]
WILDCARDS = frozenset("*?[!")
UNKNOWN = "whether it is to get a default route at the next boot cannot be determined"


@dataclasses.dataclass(frozen=True)
class NamesOfDevice:
    """By what the configuration of networks may name a device: its interfaces' names, their hardware addresses, its place (ID_PATH).

    ``current`` are the names among them that its interfaces have now; ``predictable`` is a pattern of names that udev may give them.
    """

    names: frozenset[str]
    addresses: frozenset[str] = frozenset()
    path: str = ""
    predictable: re.Pattern[str] | None = None
    current: frozenset[str] = frozenset()

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
        if not self.setting.is_read:
            return f"{UNKNOWN}: {self.setting.source} starts then, and what it configures is not read"
        if self.alone:
            return f"at the next boot it alone is to have the default route ({self.setting.source})"
        gets = "get a default route" if self.setting.has_route else "come up"
        return f"it is configured to {gets} at the next boot ({self.setting.source})"


def is_left(settings: t.Sequence[NetworkSetting], leaving: t.Sequence[NamesOfDevice], others: t.Sequence[NamesOfDevice]) -> bool:
    """Whether something else may get a default route at the next boot.

    ``leaving`` are all devices that lose their drivers, ``others`` those with an interface that keep theirs.
    """
    settings = without_hidden(settings)
    gone, kept = set(_on(settings, leaving)), set(_on(settings, others))
    possible = {one for device in others for one in applied(settings, device) if agreement(one, device) != "no"}
    theirs = {one for one in settings if any(agreement(one, device) == "exact" for device in (*leaving, *others))}
    getting = (one for one in settings if one.has_route and one.comes_up)
    return any(one in kept or (one not in gone and (one in possible or (one not in theirs and _may_be_made(one)))) for one in getting)


def named_by(settings: t.Sequence[NetworkSetting], own: NamesOfDevice, route_is_left: bool) -> Named | None:
    """What is to come up on a device at the next boot; None if nothing names it."""
    settings = without_hidden(settings)
    reached = [one for one in _on(settings, (own,)) if one.comes_up and (one.has_route or one.has_address) and one.is_read]
    if reached:
        sure = [one for one in reached if one.has_route and not (one.is_vague or one.is_optional)]
        return Named(sure[0] if sure else reached[0], bool(sure) and not route_is_left)
    return None if route_is_left else _perhaps(settings, own, True)


def perhaps_by_unread(settings: t.Sequence[NetworkSetting], own: NamesOfDevice) -> Named | None:
    """A program that may give it a default route and is not read; None if there is none."""
    return _perhaps(settings, own, False)


def _perhaps(settings: t.Sequence[NetworkSetting], own: NamesOfDevice, is_read: bool) -> Named | None:
    found = (one for one in applied(settings, own) if one.comes_up and one.has_route and one.is_read is is_read)
    return next((Named(one, False) for one in found if agreement(one, own) != "no"), None)


def without_hidden(settings: t.Sequence[NetworkSetting]) -> tuple[NetworkSetting, ...]:
    """Without those for interfaces all of which an earlier one, by their names alone, has already."""
    plain: set[str] = set()
    patterns: dict[str, None] = {}
    hidden: set[NetworkSetting] = set()
    for one in _ranked(settings):
        if one.names and all(_is_plain(name) and (name in plain or matches_any(tuple(patterns), name)) for name in one.names):
            hidden.add(one)
        elif not (one.is_vague or one.addresses or one.paths or any(name.startswith("!") for name in one.names)):
            plain.update(filter(_is_plain, one.names))
            patterns.update(dict.fromkeys(name for name in one.names if not _is_plain(name)))
    return tuple(one for one in settings if one not in hidden) if hidden else tuple(settings)


def _is_plain(name: str) -> bool:
    return not WILDCARDS & set(name) and "\\" not in name


def applied(settings: t.Sequence[NetworkSetting], device: NamesOfDevice) -> tuple[NetworkSetting, ...]:
    """Without those of which the device gets an earlier one for certain."""
    ranked = _ranked(settings)
    first = next((index for index, one in enumerate(ranked) if _is_certain(one, device)), len(ranked))
    hidden = set(ranked[first + 1 :])
    return tuple(one for one in settings if one not in hidden)


def _ranked(settings: t.Iterable[NetworkSetting]) -> list[NetworkSetting]:
    return sorted((one for one in settings if one.rank is not None), key=lambda one: one.rank or "")


def _is_certain(setting: NetworkSetting, device: NamesOfDevice) -> bool:
    """Whether it is for each interface that the device has, as these are called now."""
    if setting.is_vague or agreement(setting, device) == "no":
        return False
    if setting.names and not (device.current and all(matches_any(setting.names, name) for name in device.current)):
        return False
    return not setting.addresses or bool(device.addresses and device.addresses.issubset(setting.addresses))


def matches_any(patterns: t.Sequence[str], name: str) -> bool:
    """Whether a name agrees with one pattern, and with none that begins with `!`."""
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")]
    if any(matches(name, pattern[1:]) for pattern in patterns if pattern.startswith("!")):
        return False
    return any(matches(name, pattern) for pattern in wanted) or (bool(patterns) and not wanted)


def _on(settings: t.Sequence[NetworkSetting], devices: t.Sequence[NamesOfDevice]) -> tuple[NetworkSetting, ...]:
    """The settings for the devices, and for interfaces on top of theirs."""
    own = dict.fromkeys(one for device in devices for one in applied(settings, device) if agreement(one, device) == "exact")
    by_name: dict[str, list[NetworkSetting]] = {}
    for one in settings:
        for name in (*one.names, *one.lower):
            by_name.setdefault(name, []).append(one)
    found = {**own, **dict.fromkeys(one for one in settings if any(device.has(name) for device in devices for name in one.lower))}
    pending = list(found)
    while pending:
        lower = pending.pop(0)
        # A setting may be for several cards, whose other names are none of these devices'.
        above = () if lower in own else (name for name in lower.names if not WILDCARDS & set(name))
        more = [one for name in (*above, *lower.upper) for one in by_name.pop(name, ()) if one not in found]
        found.update(dict.fromkeys(more))
        pending += dict.fromkeys(more)
    return tuple(found)


def agreement(setting: NetworkSetting, device: NamesOfDevice) -> Agreement:
    """Whether a setting is for an interface of the device: `exact` by something that only that has."""
    answers: list[Agreement] = []
    if setting.names:
        known = device.names or {""}
        left = not any(name.startswith("!") for name in setting.names) or any(matches_any(setting.names, name) for name in known)
        named = left and any(device.has(name) for name in setting.names)
        perhaps = any(WILDCARDS & set(pattern) for pattern in setting.names) and any(matches_any(setting.names, name) for name in known)
        answers.append("exact" if named else "perhaps" if perhaps else "no")
    if setting.addresses:
        answers.append("exact" if device.addresses.intersection(setting.addresses) else "no" if device.addresses else "perhaps")
    if setting.paths:
        exact = any(path == device.path for path in setting.paths)
        answers.append("exact" if exact else "perhaps" if any(matches(device.path, path) for path in setting.paths) else "no")
    if "no" in answers or not answers:
        return "no"
    return "exact" if "exact" in answers else "perhaps"


def _may_be_made(setting: NetworkSetting) -> bool:
    """Whether it may be for an interface that is made, or that is not there.

    What names one may be for anything, unless more must agree: systemd brings such settings for containers.
    """
    return not (setting.is_vague or setting.is_optional or any(WILDCARDS & set(pattern) for pattern in (*setting.names, *setting.paths)))

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tells devices apart in a stage: by which facts its udev rules can treat one device otherwise than another."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import is_pattern, matches
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.answers import EventState, attribute_of, match_keys, on_one_of_chain
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import Key
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import IDENTITY, PATH_PROPERTIES, Missing, Subject
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.values import substitutions

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.event_context import EventContext
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rule import Rule

_OF_PLACE = frozenset("knpsEbdD")
"""Substitutions that are not the same for devices of one identity."""
_OWN_NAME = frozenset(("$kernel", "%k"))
_FACTS = frozenset(("DEVPATH", "TEST"))
TAG = "TAG"


@dataclasses.dataclass(frozen=True)
class Distinctions:
    """The addresses, patterns of addresses, and other facts by which devices of one identity can be distinguished."""

    addresses: frozenset[str]
    patterns: tuple[str, ...]
    around: EventContext
    facts: tuple[Key, ...] = ()
    """Keys about a device's path or files."""
    attributes: tuple[str, ...] = ()
    chains: tuple[tuple[Key, ...], ...] = ()
    """The keys of one rule about the devices above."""
    above: frozenset[str] = frozenset()
    """Addresses of which a rule asks whether they are above a device."""
    asks_parent: bool = False
    """Whether a rule imports what the device above has."""
    asks_tags_above: bool = False
    """Whether a rule asks for tags of the devices above."""
    each: bool = False
    """Whether a value depends on the device's address, so that no two are alike."""

    @classmethod
    def of(cls, rules: t.Iterable[Rule], around: EventContext, others: t.Iterable[str] = ()) -> Distinctions:
        """Those that the rules ask for, and the addresses of ``others``."""
        rules = tuple(rules)
        keys = [key for rule in rules for key in rule.keys]
        asked = {address for key in keys for address in _asked_addresses(key)}
        patterns = {address for address in asked if is_pattern(address)}
        above = {address for key in keys if key.name == "KERNELS" for address in _asked_addresses(key)}
        chains = {rule.about_parents: None for rule in rules if rule.about_parents and not _is_plain(rule.about_parents)}
        names = {key.attribute or "" for key in keys if key.name == "ATTR" and key.is_match and key.of_another is None}
        properties = frozenset(name for key in keys for name in _asked_properties(key))
        return cls(
            frozenset((*(asked - patterns), *others)),
            tuple(sorted(patterns)),
            around,
            tuple(dict.fromkeys(key for key in keys if key.name in _FACTS or _is_about_path(key) or _is_about_uevent(key))),
            tuple(sorted(names - IDENTITY)),
            tuple(chains),
            frozenset(above - patterns),
            any(key.name == "IMPORT" and key.attribute == "parent" for key in keys),
            any(key.name == "TAGS" for key in keys),
            any(_differs(key) or _sets_apart(key, properties) for key in keys),
        )

    def key(self, device: Device) -> tuple[t.Hashable, ...]:
        """The same for devices that are alike: what a rule can ask of a device follows from its modalias, revision and these facts."""
        address = device.address
        alone = self.each or address in self.addresses
        place: t.Hashable = address if alone else tuple(matches(address, pattern) for pattern in self.patterns)
        return device.modalias, device.revision, place, *(() if alone else self._facts(device))

    def _facts(self, device: Device) -> t.Iterator[t.Hashable]:
        if not (self.facts or self.attributes or self.chains or self.above or self.asks_parent or self.asks_tags_above):
            return
        subject, state = Subject.of(device, self.around.others), EventState()
        if self.above:
            yield tuple(one.name for one in subject.parents if one.name in self.above)
        if self.asks_tags_above:
            yield tuple(one.name for one in subject.parents)
        if self.asks_parent:
            yield [one.device is not None for one in subject.parents[:1]] == [True]
        yield from (match_keys((key,), subject, self.around, state).holds for key in self.facts)
        for name in self.attributes:
            value = attribute_of(name, subject, self.around, state)
            yield "" if isinstance(value, Missing) else value
        for keys in self.chains:
            found = on_one_of_chain(keys, subject, self.around, state)
            yield found.holds, found.drivers


def _is_about_path(key: Key) -> bool:
    return key.name == "ENV" and key.attribute == "DEVPATH" and key.is_match


def _is_about_uevent(key: Key) -> bool:
    return key.name == "ATTR" and key.attribute == "uevent" and key.is_match


def _is_plain(keys: tuple[Key, ...]) -> bool:
    """Whether all that the keys ask is known from the addresses above a device, or is the same for all: a rule for each claimed device."""
    return all((key.name == "KERNELS" and not is_pattern(key.value)) or (key.name == "SUBSYSTEMS" and key.value == "pci") for key in keys)


def _differs(key: Key) -> bool:
    """Whether a value that acts is another for each device, unless it is the device's name itself."""
    if key.is_match and not key.is_run:
        return False
    acting = key.name == "ATTR" or (key.name in ("RUN", "IMPORT") and "modprobe" in key.value) or key.is_builtin
    return acting and key.value not in _OWN_NAME and _names_a_place(key.value)


def _names_a_place(value: str) -> bool:
    """Whether a value has a substitution that is not the same for devices of one identity."""
    if "$" not in value and "%" not in value:
        return False
    return any(one.letter in _OF_PLACE and one.attribute not in ("MODALIAS", "modalias") for one in substitutions(value))


def _asked_properties(key: Key) -> t.Iterator[str]:
    """The properties that a key depends on, and `TAG` if it asks for tags."""
    if key.is_match and key.name in ("TAG", "TAGS"):
        yield TAG
    elif key.is_match and key.name == "ENV":
        yield key.attribute or ""
    if "$" in key.value or "%" in key.value:
        yield from (one.attribute or "" for one in substitutions(key.value) if one.letter == "E")


def _sets_apart(key: Key, asked: frozenset[str]) -> bool:
    """Whether a key gives each device another value of a property or tag that is asked for, or goes well for one and not for another."""
    if key.is_run and key.attribute == "file":
        return _names_a_place(key.value)
    if key.is_run:
        return key.words[:1] == ["path_id"] and not asked.isdisjoint(PATH_PROPERTIES)
    name = TAG if key.name == TAG else key.attribute if key.name == "ENV" else None
    return not key.is_match and name in asked and _names_a_place(key.value)


def _asked_addresses(key: Key) -> t.Sequence[str]:
    """The addresses, or patterns of addresses, that a rule's key matches on; the kernel's have no capital letters."""
    if key.is_match and key.of_another is not None:
        # What a virtual function has is known to its own event alone.
        return (key.of_another[1],)
    by_address = key.is_match and (key.name in ("KERNEL", "KERNELS") or key.attribute == "PCI_SLOT_NAME")
    value = key.value.lower() if key.ignores_case else key.value
    return value.split("|") if by_address else ()

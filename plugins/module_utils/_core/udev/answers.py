# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an event agrees with a rule's comparisons: yes, no, not known, or as far as its device is bound to a certain driver.

As udev_rule_apply_token_to_event() and udev_rule_apply_parent_token_to_event() in udev-rules.c.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import matches
from ansible_collections.vfio.variants.plugins.module_utils._core.udev import driver_keys
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import PARENTS, PCI, Key
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import (
    ADD,
    MISSING,
    PATH_PROPERTIES,
    UNKNOWN_PROPERTIES,
    Attribute,
    Missing,
    Subject,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.sysfs_files import allows, in_uevent
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.values import substitutions, taken

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.event_context import EventContext

Holds = t.Optional[bool]
BROUGHT_BY_BUILTINS = "ID_"
"""How the names of properties begin that IMPORT{builtin} and hwdb bring."""
GROUP = "iommu_group"
"""The link to a device's IOMMU group, which is there before its first event."""
_DIGITS = re.compile(r"[0-9]*$")
_LONGEST_VALUE = 512
_MOST_COMPARED = 64
"""Names that rules have set and that are compared with one pattern; a few times as many as the rules of distributions set."""
_GLOB = re.compile(r"[*?\[]")
_MOST_DIGITS = 9
ANYTHING = "?*"
"""udev takes `== "?*"` for `!= ""`, which each of a list's names agrees with, even if there is none (rule_line_add_token())."""
_OF_ANOTHER = re.compile(r"\[pci/([^\]]+)\]/*(.*)", re.DOTALL)
_OF_DEVICES = re.compile(r"/sys(/devices/.*/([0-9a-f]{4,}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]))(?:/+(.*))?", re.DOTALL)
_OF_BUS = re.compile(r"/sys/bus/pci/devices/([^/]+)(?:/+(.*))?", re.DOTALL)
# What udev gives for a device without a node.
_WITHOUT_NODE: t.Mapping[str, str] = {"D": "", "L": "", "M": "0", "m": "0", "N": "", "P": ""}


@dataclasses.dataclass
class EventState:
    """What rules have set in an event so far."""

    action: str = ADD
    properties: dict[str, str | None] = dataclasses.field(default_factory=dict)
    """None where the value cannot be determined."""
    tags: dict[str, bool] = dataclasses.field(default_factory=dict)
    """False where it cannot be determined whether the event has the tag."""
    all_known: bool = True
    """False once something may have set any property."""
    tags_known: bool = True
    result: str | None = ""
    """What PROGRAM has written."""
    override: Attribute = MISSING
    """The override that rules have written in this event, None if it cannot be determined; MISSING if they have written none."""
    has_asked_override: bool = False
    """Whether a rule has compared it: udev keeps what it has read once, and up to systemd 257 does not see what it writes afterwards."""
    written: str | None = None
    """The one function that the present rule writes to, if it does nothing else: while that is not there, the rule does nothing."""
    parent: Subject | None = None
    """The device that agrees with the keys about the devices above in the present rule; None if there are none, or it is not known."""
    above: t.Callable[[Subject], EventState] | None = None
    """What the rules have set in the event of a device above, which udev processes before; None where that is not to be asked."""

    _known: set[str] = dataclasses.field(default_factory=set)
    """The properties that may have a value: forgetting all again and again takes no longer than setting them."""
    _sure: set[str] = dataclasses.field(default_factory=set)
    """The tags that may be there for certain."""

    def __post_init__(self) -> None:
        self._known.update(self.properties)
        self._sure.update(self.tags)

    def set_property(self, name: str, value: str | None) -> None:
        """A value that rules have made longer than udev takes cannot be determined."""
        self.properties[name] = value if value is None or len(value) < _LONGEST_VALUE else None
        self._known.add(name)

    def forget(self) -> None:
        """Something may have set any property that is not the kernel's."""
        self.all_known = False
        self._forget(self._known)

    def forget_matching(self, pattern: str) -> None:
        """Others may have set the properties with these names."""
        if len(self._known) > _MOST_COMPARED:
            self.forget()
        else:
            self._forget({name for name in self._known if matches(name, pattern)})

    def _forget(self, names: set[str]) -> None:
        self.properties.update(dict.fromkeys(names))
        self._known = self._known - names if names is not self._known else set()

    def set_tag(self, tag: str, certain: bool) -> None:
        self.tags[tag] = certain or self.tags.get(tag, False)
        if certain:
            self._sure.add(tag)

    def clear_tags(self, certain: bool) -> None:
        self.tags = {} if certain else self.tags
        self.tags.update(dict.fromkeys(() if certain else self._sure, False))
        self._sure = set()


@dataclasses.dataclass(frozen=True)
class KeysMatch:
    """``drivers`` are keys about the driver of the event's device, or its override before the event, which must hold besides."""

    holds: Holds
    drivers: tuple[Key, ...] = ()
    doubt: Key | None = dataclasses.field(default=None, compare=False)
    """The first comparison that cannot be decided, where that is one of the rule's own."""
    parent: Subject | None = dataclasses.field(default=None, compare=False)
    """The device of the chain that agrees with the keys about the devices above, if that is known."""


NO = KeysMatch(False)


def property_of(name: str, subject: Subject, around: EventContext, state: EventState) -> str | None:
    """A property of the event; empty if it has none of this name, None if it cannot be determined."""
    if name == "ACTION":
        return state.action
    if name in state.properties:
        return state.properties[name]
    if name in UNKNOWN_PROPERTIES or name in around.files.from_hwdb:
        return None
    value = subject.property(name)
    if value != "" or subject.device is None:
        # Of other devices than PCI functions, drivers and modules no property is known.
        return value if value or (around.complete and subject.name is not None) else None
    # Of what builtins bring, that of path_id is among the properties once it has been run.
    known = around.complete and state.all_known and (name in PATH_PROPERTIES or not name.startswith(BROUGHT_BY_BUILTINS))
    return value if known else None


def expanded(text: str, subject: Subject, around: EventContext, state: EventState) -> str | None:
    """A value with its substitutions; None if one of them cannot be determined."""
    if "$" not in text and "%" not in text:
        return text if len(text) < _LONGEST_VALUE else None
    text = taken(text)
    parts: list[str] = []
    position = 0
    for one in substitutions(text):
        value = _substituted(one.letter, one.attribute, subject, around, state)
        if value is None:
            return None
        parts += (text[position : one.start], value)
        position = one.end
    whole = "".join((*parts, text[position:]))
    return whole if len(whole) < _LONGEST_VALUE else None


def _substituted(letter: str, attribute: str | None, subject: Subject, around: EventContext, state: EventState) -> str | None:
    if letter in "$%":
        return letter
    if letter == "k":
        return subject.name
    if letter == "n":
        found = _DIGITS.search(subject.name or "")
        return found[0] if found and subject.name is not None else None
    if letter == "p":
        return subject.devpath
    if letter == "E":
        return property_of(attribute or "", subject, around, state)
    if letter == "s":
        return _shown_attribute(attribute or "", subject, around, state)
    if letter in "bd":
        parent = state.parent
        return None if parent is None else parent.name if letter == "b" else parent.driver
    if letter == "c":
        return _of_result(state.result, attribute)
    if letter in _WITHOUT_NODE:
        return None if subject.device is None else _WITHOUT_NODE[letter] or (subject.name if letter == "D" else "")
    return {"S": "/sys", "r": "/dev"}.get(letter)


def _shown_attribute(name: str, subject: Subject, around: EventContext, state: EventState) -> str | None:
    """An attribute of the device, else of the one above that the rule has matched, else nothing (FORMAT_SUBST_ATTR in udev-format.c)."""
    value = attribute_of(name, subject, around, state)
    if isinstance(value, Missing) and state.parent is not None:
        above = attribute_of(name, state.parent, around, state)
        value = "" if isinstance(above, Missing) else above
    return value.rstrip() if isinstance(value, str) else None


def _of_result(result: str | None, part: str | None) -> str | None:
    """`%c`, a word of it, or all from a word on."""
    if result is None or not part:
        return result
    if not part.strip().rstrip("+").isdecimal():
        return None
    number = int(part.strip().rstrip("+")[:_MOST_DIGITS])
    words = list(re.finditer(r"\S+", result))
    if number == 0 or number > len(words):
        return result if number == 0 else ""
    return result[words[number - 1].start() :] if part.endswith("+") else words[number - 1][0]


def attribute_of(name: str, subject: Subject, around: EventContext, state: EventState) -> Attribute:
    """An attribute of a device, or of another that is named in brackets."""
    another = Key("ATTR", name, "==", "").of_another
    if another is not None:
        owner = _function(another[1], subject, around, state) if another[0] == PCI else None
        return owner.attribute(another[2]) if isinstance(owner, Subject) else owner
    if name == driver_keys.OVERRIDE and subject.is_event_s and state.override is not MISSING:
        return state.override
    if any(True for _one in substitutions(name)):
        inner = expanded(name, subject, around, state)
        return None if inner is None else subject.attribute(inner)
    return subject.attribute(name)


def _function(address: str, subject: Subject, around: EventContext, state: EventState) -> Subject | Missing | None:
    """The function of an address; None where that is not known, as of a virtual one, which need not be there yet.

    That does not matter to a rule that only writes to that function.
    """
    if subject.device is not None and subject.name == address:
        return subject
    device = around.others.get(address)
    if device is None:
        return MISSING if around.others else None
    return None if device.is_virtual and address != state.written else Subject.of(device, around.others)


class Comparisons(t.NamedTuple):
    """The keys of a rule that are compared: those about the event's own device, and those that it or one above it must match together."""

    own: tuple[Key, ...]
    about_parents: tuple[Key, ...]

    @classmethod
    def of(cls, keys: t.Sequence[Key]) -> Comparisons:
        """Without PROGRAM and IMPORT, which are run, and RESULT, if it is compared after these."""
        runs = any(key.is_run for key in keys)
        compared = [key for key in keys if key.is_match and not key.is_run and not (runs and key.name == "RESULT")]
        about_parents = tuple(key for key in keys if key.is_match and key.name in PARENTS)
        return cls(tuple(key for key in compared if key.name not in PARENTS), about_parents)


def match_keys(keys: t.Sequence[Key], subject: Subject, around: EventContext, state: EventState) -> KeysMatch:
    """Whether all comparisons among the keys hold."""
    return match(Comparisons.of(keys), subject, around, state)


def match(compared: Comparisons, subject: Subject, around: EventContext, state: EventState) -> KeysMatch:
    """Whether all of them hold."""
    whole: Holds = True
    drivers: tuple[Key, ...] = ()
    doubt: Key | None = None
    about_parents = compared.about_parents
    for key in compared.own:
        about_driver = () if subject.driver is not None else _handed_on(key, state)
        if about_driver:
            drivers += about_driver
            continue
        answer = _answer(key, subject, around, state)
        if answer is False:
            return NO
        doubt = key if answer is None and doubt is None else doubt
        whole = whole and answer
    if about_parents:
        above = on_one_of_chain(about_parents, subject, around, state)
        if above.holds is False:
            return NO
        doubt = about_parents[0] if above.holds is None and doubt is None else doubt
        whole, drivers = whole and above.holds, (*drivers, *above.drivers)
        return KeysMatch(whole, drivers, doubt, above.parent)
    return KeysMatch(whole, drivers, doubt)


def _handed_on(key: Key, state: EventState) -> tuple[Key, ...]:
    """The comparisons about the driver, or the override before the event, that a key stands for."""
    if not driver_keys.is_about_override(key):
        return driver_keys.of_event_s_device(key)
    state.has_asked_override = True
    return (key,) if isinstance(state.override, Missing) else ()


def on_one_of_chain(keys: t.Sequence[Key], subject: Subject, around: EventContext, state: EventState) -> KeysMatch:
    """Whether one device, the event's own or one above it, agrees with all keys; the first that does counts."""
    found: list[KeysMatch] = []
    for one in (subject, *subject.parents):
        each = dataclasses.replace(_on_one(keys, one, around, state), parent=one)
        if each.holds is True and one is not subject and not subject.all_parents:
            each = KeysMatch(None)
        if each.holds is True and not each.drivers and not found:
            return each
        if each.holds is not False:
            found.append(each)
    if not found:
        # Of a function without its place all bridges were asked, of a device of another subsystem none of those above it.
        is_open = not subject.all_parents and (subject.device is None or any(_may_be_root(key) for key in keys))
        return KeysMatch(None) if is_open else NO
    if any(each.holds is True and not each.drivers for each in found):
        return KeysMatch(True)
    # Where several may agree, which of them does is not known, nor that one does.
    return found[0] if len(found) == 1 else KeysMatch(None)


def _may_be_root(key: Key) -> bool:
    return key.name == "KERNELS" and not key.is_negated and key.value.startswith(("pci", "*", "?", "["))


def _on_one(keys: t.Sequence[Key], one: Subject, around: EventContext, state: EventState) -> KeysMatch:
    whole: Holds = True
    drivers: tuple[Key, ...] = ()
    for key in keys:
        if key.name == "DRIVERS" and one.driver is None:
            if one.is_event_s:
                drivers += (key,)
            else:
                whole = None
            continue
        answer = _of_parent(key, one, around, state)
        if answer is False:
            return NO
        whole = whole and answer
    return KeysMatch(whole, drivers)


def _of_parent(key: Key, one: Subject, around: EventContext, state: EventState) -> Holds:
    if key.name == "ATTRS":
        return _about_attribute(key, attribute_of(key.attribute or "", one, around, state))
    if key.name == "TAGS":
        return _about_tags(key, around, state) if one.is_event_s else _about_tags_above(key, one, around, state)
    fact = {"KERNELS": one.name, "SUBSYSTEMS": one.subsystem, "DRIVERS": one.driver}[key.name]
    return None if fact is None else key.matches(fact)


def _answer(key: Key, subject: Subject, around: EventContext, state: EventState) -> Holds:
    name = key.name
    if name == "ATTR":
        if key.attribute == "uevent" and subject.device is not None:
            return in_uevent(key, subject.uevent)
        return _about_attribute(key, attribute_of(key.attribute or "", subject, around, state))
    if name == "TAG":
        return _about_tags(key, around, state)
    if name == "CONST":
        found = {key.matches(value) for value in around.constant(key.attribute or "")}
        return found.pop() if len(found) == 1 else None
    if name == "TEST":
        return _about_file(key, subject, around, state)
    if name == "SYMLINK":
        # No device with a driver of PCI has a node, and so none has links to it.
        return key.is_negated != (key.value == ANYTHING) if subject.device is not None else None
    fact = _fact(key, subject, around, state)
    return None if fact is None else key.matches(fact)


def _fact(key: Key, subject: Subject, around: EventContext, state: EventState) -> str | None:
    name, attribute = key.name, key.attribute or ""
    if name == "ENV":
        return property_of(attribute, subject, around, state)
    if name == "SYSCTL":
        return around.sysctl(attribute)
    if name == "NAME":
        return "" if subject.device is not None else None
    facts = {"ACTION": state.action, "DEVPATH": subject.devpath, "KERNEL": subject.name, "SUBSYSTEM": subject.subsystem}
    return {**facts, "RESULT": state.result, "DRIVER": subject.driver}.get(name)


def _about_attribute(key: Key, value: Attribute) -> Holds:
    if isinstance(value, Missing):
        return False
    return None if value is None else key.matches_attribute(value)


def _about_tags(key: Key, around: EventContext, state: EventState) -> Holds:
    if key.value == ANYTHING:
        return not key.is_negated
    plain = Key(key.name, None, "==", key.value, key.ignores_case)
    if _GLOB.search(key.value) is None and not key.ignores_case:
        found = [state.tags[tag] for tag in key.value.split("|") if tag in state.tags]
    elif len(state.tags) > _MOST_COMPARED:
        return None
    else:
        found = [certain for tag, certain in state.tags.items() if plain.matches(tag)]
    if any(found):
        return not key.is_negated
    return key.is_negated if not found and around.complete and state.tags_known else None


def _about_tags_above(key: Key, one: Subject, around: EventContext, state: EventState) -> Holds:
    """The tags of a device above: a root bus has no events, and so none."""
    if one.subsystem == "":
        return key.is_negated != (key.value == ANYTHING)
    return None if one.device is None or state.above is None else _about_tags(key, around, state.above(one))


def _about_file(key: Key, subject: Subject, around: EventContext, state: EventState) -> Holds:
    path = expanded(key.value, subject, around, state)
    if path is None or "*" in path:
        return None
    owner, rest = _owner_of(path, subject, around, state)
    if owner is None or isinstance(owner, Missing):
        is_there = None if owner is None else False
    elif owner.device is not None and rest == GROUP:
        is_there = around.has_groups if owner.device.iommu_group is not None else None
    else:
        is_there = around.files.has(rest) if rest.startswith("/") else owner.has(rest) if rest else True
    if is_there and key.attribute:
        mask = int(key.attribute, 8)
        is_there = around.files.allows(rest, mask) if rest.startswith("/") else allows(rest, mask) if rest else None
    return None if is_there is None else is_there != key.is_negated


def _owner_of(path: str, subject: Subject, around: EventContext, state: EventState) -> tuple[Subject | Missing | None, str]:
    """The device in whose folder a path is, and the rest of the path, which of other folders is all of it."""
    another = _OF_ANOTHER.fullmatch(path) or _OF_BUS.fullmatch(path)
    if another is not None:
        return _function(another[1], subject, around, state), another[2] or ""
    absolute = _OF_DEVICES.fullmatch(path)
    found = None if absolute is None else _function(absolute[2], subject, around, state)
    if absolute is not None and isinstance(found, Subject) and found.devpath == absolute[1]:
        return found, absolute[3] or ""
    own = f"/sys{subject.devpath}"
    if subject.devpath is not None and (path == own or path.startswith(f"{own}/")):
        return subject, path[len(own) + 1 :]
    return subject, path

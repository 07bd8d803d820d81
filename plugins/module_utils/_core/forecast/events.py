# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What udev does when it processes an event of a PCI function, in order (udev-rules.c, udev-worker.c, udev-builtin-kmod.c).

Attributes are written while the rules are evaluated; the RUN list is executed afterwards, in order.
"""

from __future__ import annotations

import dataclasses
import operator
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Reason
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.equivalence import NamedAddresses
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import LoadRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import ADD, Rule, Rules, attribute_of_another, facts_of_all

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import Modprobe
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciId
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import EventFacts, Key

OWN = ""
"""In an effect, stands for the address of the event's own device, so that identical devices share their effects."""
NOWHERE = "nowhere"
"""An address that no device has."""
OVERRIDE = "driver_override"
AUTOPROBE = "sriov_drivers_autoprobe"
_NOT_LITERAL = re.compile(r"[*?\[$%]")
_BUS_PROBE = re.compile(r"\[subsystem/pci\]drivers_probe")
_BINDING = re.compile(r"driver_override|new_id|remove_id|drivers_probe|\b(?:un)?bind\b|modprobe|insmod|driverctl")
_MODPROBE_PROGRAM = re.compile(
    r"(?:(?:/usr)?/s?bin/)?modprobe((?: +-(?:q|b|a|qb|bq|-use-blacklist|-quiet|-all))*)((?: +[A-Za-z0-9][\w:-]*)+)"
)
_OWN_NAME = ("$kernel", "%k")
_OWN_MODALIAS = ("$env{MODALIAS}", "%E{MODALIAS}", "$attr{modalias}", "%s{modalias}")


@dataclasses.dataclass(frozen=True)
class SetOverride:
    """driver_override is written; None clears it."""

    address: str
    driver: str | None
    because: Reason


@dataclasses.dataclass(frozen=True)
class ProbeNow:
    """drivers_probe is written: the device is offered to the registered drivers."""

    address: str
    because: Reason


@dataclasses.dataclass(frozen=True)
class Unbind:
    """The device is unbound."""

    address: str
    because: Reason


@dataclasses.dataclass(frozen=True)
class AfterUnbind:
    """What follows is the "unbind" event, which is sent only if the device was bound."""

    address: str = OWN


@dataclasses.dataclass(frozen=True)
class NewId:
    """new_id is written: the driver binds to every unbound device of that ID."""

    driver: str
    id: PciId
    because: Reason


@dataclasses.dataclass(frozen=True)
class SetAutoprobe:
    """sriov_drivers_autoprobe is written: whether a physical function's virtual functions are offered to drivers."""

    address: str
    on: bool
    because: Reason


@dataclasses.dataclass(frozen=True)
class Doubt:
    """What happens to the event's own device at this point cannot be determined."""

    sentence: str


Effect = t.Union[SetOverride, ProbeNow, Unbind, AfterUnbind, NewId, SetAutoprobe, Doubt, LoadRequest]


class Events:
    """The events of a stage, by default "add".  ``others`` are all devices, by address."""

    def __init__(self, stage: Stage, modprobe: Modprobe, others: t.Mapping[str, Device], action: str = ADD) -> None:
        rules = tuple(rule for rule in stage.rules.rules if _may_decide(rule))
        self._release = stage.kernel.release
        self._action = action
        facts = facts_of_all(self._release, action)
        self._rules = _RulesByAddress(settled for rule in rules for settled in _settled(rule, others, facts))
        self._modprobe = modprobe
        self._others = others
        self._names = NamedAddresses.of(rules)
        self._known: dict[tuple[t.Hashable, ...], tuple[Effect, ...]] = {}
        self._attributes: dict[tuple[int, int], tuple[Effect, ...]] = {}
        self._loads: dict[tuple[int, int], _Loads] = {}

    def of(self, device: Device) -> tuple[Effect, ...]:
        """The effects of the device's event, in order; the same object for devices that no rule distinguishes."""
        key = self._names.key(device)
        if key not in self._known:
            self._known[key] = tuple(self._effects(device))
        return self._known[key]

    def _written(self, rule: Rule, key: Key) -> tuple[Effect, ...]:
        """The effects of an attribute that the rule writes, cached: they are the same for every device's event."""
        known = (id(rule), id(key))
        if known not in self._attributes:
            self._attributes[known] = tuple(_attribute(rule, key))
        return self._attributes[known]

    def _effects(self, device: Device) -> t.Iterator[Effect]:
        run: list[tuple[Rule, Key]] = []
        for rule, certain in self._rules.about(device.address).matching(device, self._release, self._others, self._action):
            for key in rule.keys:
                if key.name in ("PROGRAM", "IMPORT") and _BINDING.search(key.value):
                    yield _doubt(rule, key)
                elif not certain:
                    yield from _doubtful(rule, key)
                elif key.name == "ATTR" and not key.is_match:
                    yield from self._written(rule, key)
                elif key.name == "RUN":
                    run = ([] if key.operator in ("=", ":=") else run) + [(rule, key)]
        for rule, key in run:
            yield from self._run(device, rule, key)

    def _run(self, device: Device, rule: Rule, key: Key) -> t.Iterator[Effect]:
        """The effects of one entry of the RUN list; its parsed form is cached."""
        known = (id(rule), id(key))
        if known not in self._loads:
            self._loads[known] = _Loads.of(rule, key)
        loads = self._loads[known]
        for text, source in loads.asked:
            yield from self._modprobe.ask(device.modalias if text is None else text, loads.honours_blacklist, source)
        if loads.doubt is not None:
            yield loads.doubt


class _RulesByAddress:
    """Rules indexed by the address that they match on, because a host with many claims has some for each device."""

    def __init__(self, rules: t.Iterable[Rule]) -> None:
        self._of_all: list[tuple[int, Rule]] = []
        self._of_one: dict[str, list[tuple[int, Rule]]] = {}
        for place, rule in enumerate(rules):
            addresses = _addresses(rule)
            if addresses is None:
                self._of_all.append((place, rule))
            for address in addresses or ():
                self._of_one.setdefault(address, []).append((place, rule))
        self._general = Rules(tuple(rule for _place, rule in self._of_all))

    def about(self, address: str) -> Rules:
        """The rules that do not match on another address, in order."""
        if address not in self._of_one:
            return self._general
        return Rules(tuple(rule for _place, rule in sorted((*self._of_all, *self._of_one[address]), key=operator.itemgetter(0))))


def _addresses(rule: Rule) -> tuple[str, ...] | None:
    """The only addresses that a rule can match; None if it may match others, or if a GOTO may jump to it."""
    if rule.label is not None:
        return None
    for key in rule.keys:
        if key.name == "KERNEL" and key.operator == "==" and not key.ignores_case and not _NOT_LITERAL.search(key.value):
            # Confirmed by the evaluation itself, for which this is only a shortcut.
            refuses = Rule(rule.path, rule.line, (key,)).agrees_with({("KERNEL", None): NOWHERE}) is False
            return tuple(dict.fromkeys(key.value.split("|"))) if refuses else None
    return None


def _settled(rule: Rule, others: t.Mapping[str, Device], facts: EventFacts) -> t.Iterator[Rule]:
    """The rule without the keys whose result is the same for every device's event; nothing if one of them does not match."""
    asked = [key for key in rule.keys if key.is_match and ((key.name, key.attribute) in facts or (others and attribute_of_another(key)))]
    known = {key: Rule(rule.path, rule.line, (key,)).agrees_with(facts, others) for key in asked}
    if rule.label is None and False in known.values():
        return
    yield Rule(rule.path, rule.line, tuple(key for key in rule.keys if known.get(key) is not True)) if True in known.values() else rule


def _may_decide(rule: Rule) -> bool:
    """Whether a rule can affect which driver a device is bound to, or which rules are skipped."""
    return any(
        key.name in ("GOTO", "LABEL", "RUN")
        or (key.name in ("PROGRAM", "IMPORT") and _BINDING.search(key.value) is not None)
        or (key.name == "ATTR" and not key.is_match and _decides(key.attribute or ""))
        for key in rule.keys
    )


def _attribute(rule: Rule, key: Key) -> t.Iterator[Effect]:
    """The effects of an attribute that the rule writes, if it can affect which driver a device is bound to."""
    value = key.value.strip()
    another = attribute_of_another(key)
    address, name = another if another is not None else (OWN, key.attribute or "")
    because = Reason(str(rule), f"{key.attribute}={value}")
    # For an empty value udev writes nothing, not even a newline (WRITE_STRING_FILE_AVOID_NEWLINE in udev-rules.c).
    if not _decides(key.attribute or "") or not key.value:
        return
    if _BUS_PROBE.fullmatch(name):
        yield ProbeNow(OWN if value in _OWN_NAME else value, because)
    elif name == "driver/unbind" and (value in _OWN_NAME or value == address):
        yield Unbind(address, because)
    elif "$" in value or "%" in value:
        yield _doubt(rule, key)
    elif name == OVERRIDE:
        yield SetOverride(address, value or key.value, because)
    elif name == AUTOPROBE:
        yield SetAutoprobe(address, value not in ("0", "n", "N", "off"), because)
    else:
        yield _doubt(rule, key)


def _decides(attribute: str) -> bool:
    last = attribute.rsplit("/", 1)[-1].rsplit("]", 1)[-1]
    return last in (OVERRIDE, AUTOPROBE, "new_id", "bind", "unbind", "drivers_probe")


@dataclasses.dataclass(frozen=True)
class _Loads:
    """What an entry of the RUN list loads: udev's builtin `kmod load`, or `modprobe`.  Other programs are a doubt.

    ``asked`` has names, or None for the modalias of the event's device, each with the reason to report.
    """

    asked: tuple[tuple[str | None, Reason | None], ...] = ()
    honours_blacklist: bool = True
    doubt: Doubt | None = None

    @classmethod
    def of(cls, rule: Rule, key: Key) -> _Loads:
        if key.attribute == "builtin":
            words = [word.strip("'\"") for word in key.value.split()]
            # Stock rules load by the modalias: not worth reporting; the alias that is found is.
            return cls._asking(rule, key, words[2:] or [_OWN_MODALIAS[0]], True, True) if words[:2] == ["kmod", "load"] else cls()
        match = _MODPROBE_PROGRAM.fullmatch(key.value.strip())
        if match is not None:
            return cls._asking(rule, key, match[2].split(), "b" in match[1], False)
        return cls(doubt=_doubt(rule, key)) if _BINDING.search(key.value) else cls()

    @classmethod
    def _asking(cls, rule: Rule, key: Key, words: t.Sequence[str], honours_blacklist: bool, is_stock: bool) -> _Loads:
        source = Reason(str(rule), f"RUN {key.value}")
        own = (None, None if is_stock else source)
        plain = [word for word in words if word in _OWN_MODALIAS or not ("$" in word or "%" in word)]
        asked = tuple(own if word in _OWN_MODALIAS else (word, source) for word in plain)
        return cls(asked, honours_blacklist, None if len(plain) == len(words) else _doubt(rule, key))


def _doubtful(rule: Rule, key: Key) -> t.Iterator[Effect]:
    """A rule that may or may not match is a doubt only if it could affect which driver a device is bound to."""
    loads = key.name == "RUN" and key.attribute == "builtin" and key.value.startswith("kmod load")
    runs = key.name == "RUN" and key.attribute != "builtin" and _BINDING.search(key.value) is not None
    if loads or runs or (key.name == "ATTR" and not key.is_match and _decides(key.attribute or "")):
        yield _doubt(rule, key)


def _doubt(rule: Rule, key: Key) -> Doubt:
    what = f"{key.name}{{{key.attribute}}}" if key.attribute else key.name
    return Doubt(f'What {rule} ({what}="{key.value}") does cannot be determined from the rule.')

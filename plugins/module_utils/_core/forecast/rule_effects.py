# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a key that udev carries out does to devices and drivers."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Reason
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast import effects as does
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import OWN, IfDriver, Noticed, address_of, plain
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.modprobe_command import ModprobeCommand
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import LoadRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.drivers import KNOWN_DRIVERS
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import BEYOND, parse_number
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import ANY, PciId
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import ACTS, EVENT_DEVICE, Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.attribute_paths import Target, acts, target_of

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import Effect, Plain
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import Modprobe
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Act
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import Key
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rule import AppliedKey
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import Devices, Subject

MODALIAS = "MODALIAS"
NO_MODULES = ("kernel/modules_disabled", "kernel.modules_disabled")
_NUMBER = re.compile(r"\s*(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)\s*")
_HEXADECIMAL = re.compile(r"(?:0[xX])?([0-9a-fA-F]+)")
_OFF = ("0", "n", "N", "f", "F", "of", "oF", "Of", "OF")
_EFFECT_OF: t.Mapping[str, type] = {
    "driver_override": does.SetOverride,
    "drivers_probe": does.ProbeNow,
    "bind": does.Bind,
    "unbind": does.Unbind,
    "new_id": does.NewId,
    "remove_id": does.RemoveId,
    "remove": does.Remove,
    "drivers_autoprobe": does.SetBusAutoprobe,
    "sriov_drivers_autoprobe": does.SetAutoprobe,
}
"""By the attribute that is written."""
_RESCAN: t.Final[frozenset[Act]] = frozenset(("rescan",))
MOST_EFFECTS = 256
"""Of one event on one device, or on none in particular: all of them are tried in each order. Ordinary events have less than ten."""


class RuleEffects:
    """What the keys of one stage's rules do."""

    def __init__(self, stage: Stage, modprobe: Modprobe, others: Devices, of_add: bool = True) -> None:
        self._programs = stage.programs
        self._absent = stage.absent_programs
        self._modprobe = modprobe
        self._others = others
        self._of_add = of_add
        self._known: dict[tuple[t.Hashable, ...], tuple[Effect, ...]] = {}
        self.notices = False
        """Whether any effect so far is not simulated."""

    def of_all(self, everything: t.Iterable[AppliedKey], subject: Subject, modalias: str | None) -> t.Iterator[Effect]:
        """The effects of an event in order, up to those that are too many."""
        counts: dict[str | None, int] = {}
        for done in everything:
            for effect in self.of(done, subject, modalias):
                about = address_of(effect)
                counts[about] = counts.get(about, 0) + (not isinstance(plain(effect), Noticed))
                if counts[about] > MOST_EFFECTS:
                    self.notices = True
                    yield self._unclear(done, ACTS, f"follows more than {MOST_EFFECTS} other effects of one event", None)
                    return
                yield effect

    def of(self, done: AppliedKey, subject: Subject, modalias: str | None) -> tuple[Effect, ...]:
        """The effects of one key; ``modalias`` is the event's property in the end, None if it cannot be determined."""
        known = (id(done.rule), id(done.key), done.value, done.certain, done.drivers, id(done.doubt), modalias)
        # What a key does depends on its device where a value or a path is relative to it, which `OWN` stands for, or what is below it.
        attribute = done.key.attribute or ""
        if done.value == subject.name or done.key.name != "ATTR" or attribute.startswith("..") or attribute.endswith("remove"):
            return tuple(self._effects(done, subject, modalias))
        if known not in self._known:
            self._known[known] = tuple(self._effects(done, subject, modalias))
        return self._known[known]

    def is_inert(self, key: Key) -> bool:
        """Whether a key runs a program that is known to act on no driver."""
        return not key.is_builtin and self._programs.get(key.value) == () and ModprobeCommand.parse(key.value) is None

    def _effects(self, done: AppliedKey, subject: Subject, modalias: str | None) -> t.Iterator[Effect]:
        for effect in self._plain(done, subject, modalias):
            self.notices = self.notices or isinstance(effect, Noticed) or not done.certain or bool(done.drivers)
            if isinstance(effect, Noticed):
                yield IfDriver(done.drivers, effect) if done.drivers else effect
            elif not done.certain:
                yield self.noticed(done, effect)
            elif done.drivers:
                yield IfDriver(done.drivers, effect)
                if address_of(effect) != OWN:
                    # Whether it reaches other devices depends on the driver of this one.
                    yield IfDriver(done.drivers, dataclasses.replace(self.noticed(done, effect), spares_own=True))
            else:
                yield effect

    def _plain(self, done: AppliedKey, subject: Subject, modalias: str | None) -> t.Iterator[Plain]:
        key = done.key
        if key.name == "ATTR":
            yield from self._attribute(done, subject) if acts(key) else ()
        elif key.name == "SYSCTL":
            if key.attribute in NO_MODULES and done.value != "0":
                yield self._unclear(done, frozenset(("lock",)), "may forbid to load modules", None)
            elif key.value in self._programs:
                # The kernel runs it from then on.
                yield from (Noticed(_about_event(one)) for one in self._programs[key.value])
        elif key.name in ("RUN", "IMPORT", "PROGRAM"):
            if key.is_builtin:
                yield from self._builtin(done, modalias)
            elif key.name != "IMPORT" or key.attribute == "program":
                yield from self._program(done)

    # -- attributes

    def _attribute(self, done: AppliedKey, subject: Subject) -> t.Iterator[Plain]:
        value = done.value
        target = target_of(done.key, subject, self._others)
        # For an empty value udev writes nothing, not even a newline (WRITE_STRING_FILE_AVOID_NEWLINE in udev-rules.c).
        if value == "" or target.kind == "nothing":
            return
        if value is None or target.kind == "unknown":
            yield self._unclear_attribute(done, target)
            return
        because = Reason(str(done.rule), f"{done.key.attribute}={value.strip()}")
        named = OWN if value.strip() == subject.name else value.strip()
        if target.kind == "device":
            yield from self._of_device(done, target, value, because, subject.name)
        elif target.kind == "own driver":
            yield from self._of_own_driver(done, target, named, because)
        elif target.kind == "driver":
            yield from self._of_driver(target, named, because)
        elif target.attribute == "drivers_probe":
            yield does.ProbeNow(named, because)
        elif target.attribute == "drivers_autoprobe":
            yield does.SetBusAutoprobe(not value.startswith("0"), because)
        elif target.attribute == "rescan":
            yield self._rescan(done)

    def _of_device(self, done: AppliedKey, target: Target, value: str, because: Reason, own: str | None) -> t.Iterator[Plain]:
        address = target.name
        if target.attribute == "driver_override":
            yield does.SetOverride(address, value.partition("\n")[0] or None, because)
        elif target.attribute == "sriov_drivers_autoprobe":
            yield does.SetAutoprobe(address, value.strip() not in _OFF, because)
        elif target.attribute == "remove" and _is_true(value):
            yield does.Remove(address, because)
            inside = f"/{own if address == OWN else address}/"
            below = [other.address for other in self._others.values() if inside in (other.path or "")]
            yield from (does.Remove(other, because) for other in below)
        elif target.attribute == "rescan":
            yield self._rescan(done)

    def _rescan(self, done: AppliedKey) -> Noticed:
        return self._unclear(done, _RESCAN, "may bring back what was removed", None)

    def _of_own_driver(self, done: AppliedKey, target: Target, named: str, because: Reason) -> t.Iterator[Plain]:
        if target.attribute == "unbind" and named == target.name:
            yield does.Unbind(target.name, because)
        else:
            yield self._unclear_attribute(done, target)

    @staticmethod
    def _of_driver(target: Target, named: str, because: Reason) -> t.Iterator[Plain]:
        if target.attribute == "bind":
            yield does.Bind(named, target.name, because)
        elif target.attribute == "unbind":
            yield does.Unbind(named, because, target.name)
        else:
            found = new_id_of(named)
            if found is not None:
                yield (does.NewId if target.attribute == "new_id" else does.RemoveId)(target.name, found, because)

    def _unclear_attribute(self, done: AppliedKey, target: Target) -> Noticed:
        """Of an attribute whose owner or value cannot be determined."""
        attribute, value = target.attribute, done.value
        addresses: frozenset[str] | None = None
        drivers: frozenset[str] | None = None
        if attribute in ("bind", "unbind", "drivers_probe"):
            addresses = None if value is None else frozenset((value.strip(),))
        elif attribute in ("new_id", "remove_id"):
            addresses = None if value is None else self._with_id(new_id_of(value))
        elif target.kind == "device" and attribute != "rescan":
            addresses = frozenset((target.name,))
        if attribute == "driver_override" and value is not None:
            drivers = frozenset((value.strip(),))
        if target.kind == "driver":
            drivers = frozenset((target.name,))
        return self._unclear(done, _acts_of(attribute), f"may write to {attribute}", addresses, drivers=drivers)

    def _with_id(self, wanted: PciId | None) -> frozenset[str]:
        if wanted is None:
            return frozenset()
        return frozenset(device.address for device in self._others.values() if wanted.matches(device))

    # -- commands

    def _builtin(self, done: AppliedKey, modalias: str | None) -> t.Iterator[Plain]:
        """`kmod load` without a name loads by the event's modalias; no other builtin acts on drivers."""
        raw = done.key.words
        if raw[:2] != ["kmod", "load"]:
            return
        if done.value is None:
            yield self._unclear(done, frozenset(("load",)), "may load a module", None)
            return
        names = raw[2:] if done.value == done.key.value else [word.strip("'\"") for word in done.value.split()][2:]
        source = Reason(str(done.rule), f"{done.key.name} {done.key.value}")
        if not names and modalias is None:
            yield self._unclear(done, frozenset(("load",)), "may load a module", None)
        for name in names or ([modalias] if modalias else []):
            # Stock rules load by the modalias of what was added: not worth reporting; the alias that is found is.
            yield from self._modprobe.ask(name, True, None if name == modalias and self._of_add else source)

    def _program(self, done: AppliedKey) -> t.Iterator[Plain]:
        key = done.key
        if key.value in self._absent:
            return
        command = ModprobeCommand.parse(key.value if done.value is None else done.value)
        if command is not None and done.value is not None:
            yield from self._run_modprobe(done, command)
        elif key.value in self._programs:
            yield from (Noticed(_about_event(one)) for one in self._programs[key.value])
        else:
            yield self._unclear(done, ACTS, f"runs {key.value}", None)

    def _run_modprobe(self, done: AppliedKey, command: ModprobeCommand) -> t.Iterator[Plain]:
        source = Reason(str(done.rule), f"{done.key.name} {done.key.value}")
        if command.is_plain:
            for name in command.names:
                yield from self._modprobe.ask(name, command.honours_blacklist, source)
            return
        modules = frozenset(map(normalize_module_name, command.names))
        drivers = frozenset(KNOWN_DRIVERS.get(name, name) for name in modules)
        if command.removes:
            yield self._unclear(done, frozenset(("refuse",)), f"may remove {', '.join(sorted(modules))}", None, modules=modules)
        elif command.loads:
            given: frozenset[Act] = frozenset(("load", "new_id")) if command.parameters else frozenset(("load",))
            yield self._unclear(done, given, f"runs {done.key.value}", None, modules=modules, drivers=drivers)

    # -- what is not simulated

    def _unclear(
        self,
        done: AppliedKey,
        acts_: frozenset[Act],
        fact: str,
        addresses: frozenset[str] | None,
        modules: frozenset[str] | None = None,
        drivers: frozenset[str] | None = None,
    ) -> Noticed:
        return Noticed(Influence(str(done.rule), f"{fact} ({_said(done)})", acts_, addresses, modules, drivers))

    def noticed(self, done: AppliedKey, effect: Plain) -> Noticed:
        """The effect of a rule of which it cannot be determined whether it matches."""
        address = address_of(effect)
        addresses = None if address is None else frozenset((address,))
        modules: frozenset[str] | None = None
        drivers: frozenset[str] | None = None
        if isinstance(effect, does.SetOverride):
            drivers = frozenset((effect.driver,) if effect.driver else ())
        elif isinstance(effect, does.Bind):
            drivers = frozenset((effect.driver,))
        elif isinstance(effect, (does.NewId, does.RemoveId)):
            addresses, drivers = self._with_id(effect.id), frozenset((effect.driver,))
        elif isinstance(effect, does.SetAutoprobe):
            addresses = None
        elif isinstance(effect, LoadRequest):
            modules = frozenset((effect.module, *effect.insertions))
        acts_ = frozenset((does.ACT_OF[type(effect)],))
        why = "" if done.doubt is None else f", as `{done.doubt.written}` cannot be decided"
        return self._unclear(done, acts_, f"may match or not{why}", addresses, modules, drivers)


def _acts_of(attribute: str) -> frozenset[Act]:
    """What writing to an attribute does to drivers; all that can be done to them where that is not known."""
    if attribute in _EFFECT_OF:
        return frozenset((does.ACT_OF[_EFFECT_OF[attribute]],))
    return _RESCAN if attribute == "rescan" else ACTS


def _said(done: AppliedKey) -> str:
    key = done.key
    what = f"{key.name}{{{key.attribute}}}" if key.attribute else key.name
    return f'{what}="{key.value}"'


def _about_event(one: Influence) -> Influence:
    if one.addresses is None or EVENT_DEVICE not in one.addresses:
        return one
    return dataclasses.replace(one, addresses=frozenset(OWN if address == EVENT_DEVICE else address for address in one.addresses))


def _is_true(value: str) -> bool:
    """As kstrtoul() reads a number; remove_store() does nothing for zero."""
    number = parse_number(value.strip())
    return number is not None and 0 < number < BEYOND


def new_id_of(text: str) -> PciId | None:
    """As new_id_store(): hexadecimal numbers, at least two."""
    numbers = []
    for word in text.split()[:6]:
        match = _HEXADECIMAL.match(word)
        if match is None:
            break
        numbers.append(int(match[1], 16))
    if len(numbers) < 2:
        return None
    vendor, device, subsystem_vendor, subsystem_device, code, mask = (*numbers, *(ANY, ANY, ANY, ANY, 0, 0)[len(numbers) :])
    return PciId(vendor, device, subsystem_vendor, subsystem_device, code, mask)

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""udev rules: which of them match a PCI function's event, and what they set.

Only match keys that depend on the function's identity are evaluated; a rule that also tests something else (a program, a tag,
another device) *may* match.  Source of the grammar: systemd's udev-rules.c and udev(7).
"""

from __future__ import annotations

import dataclasses
import functools
import re
import types
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import matches

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

DIRECTORIES = ("/etc/udev/rules.d", "/run/udev/rules.d", "/usr/local/lib/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d")
_KEY = re.compile(r"""\s*,?\s*([A-Z_]+)(?:\{([^}]*)\})?\s*(==|!=|\+=|-=|:=|=)\s*([ei]?)"((?:[^"\\]|\\.)*)"(?=[\s,]|$)""")
# parse_token() drops a line that assigns to one of the first, matches on one of the second, or has an unknown key.
_ASKED_ONLY = frozenset(
    ("ACTION", "DEVPATH", "KERNEL", "KERNELS", "SUBSYSTEM", "SUBSYSTEMS", "DRIVER", "DRIVERS", "ATTRS", "TAGS", "CONST", "TEST", "RESULT")
)
_ASSIGNED_ONLY = frozenset(("GOTO", "GROUP", "LABEL", "MODE", "OPTIONS", "OWNER", "RUN"))
_KNOWN = _ASKED_ONLY | _ASSIGNED_ONLY | {"ATTR", "ENV", "IMPORT", "NAME", "PROGRAM", "SYMLINK", "SYSCTL", "TAG"}
ADD, UNBIND = "add", "unbind"
"""Actions of uevents: udevadm trigger replays "add" for every device; "unbind" is sent when a driver is unbound from a device."""
_REMOVABLE = frozenset(("OPTIONS", "SYMLINK", "TAG"))
_SUBSTITUTION = re.compile(r"[$%]")
_PATTERN = re.compile(r"[*?\[$%]")
# udev_resolve_subsys_kernel(): an attribute of another device, `ATTR{[pci/0000:3b:00.0]vendor}`.
_OF_ANOTHER = re.compile(r"\[pci/([^\]/]+)\](.+)")


if t.TYPE_CHECKING:
    Devices = t.Mapping[str, Device]
    EventFacts = t.Mapping[tuple[str, t.Optional[str]], str]
NO_DEVICES: t.Mapping[str, t.Any] = types.MappingProxyType({})


@dataclasses.dataclass(frozen=True)
class Key:
    """One ``KEY{attribute}operator"value"`` of a rule."""

    name: str
    attribute: str | None
    operator: str
    value: str
    ignores_case: bool = False

    @property
    def is_match(self) -> bool:
        return self.operator in ("==", "!=")

    @property
    def is_valid(self) -> bool:
        """Whether udev accepts it; if not, udev drops the whole line."""
        if self.is_match:
            return self.name in _KNOWN and self.name not in _ASSIGNED_ONLY
        if self.operator == "-=" and self.name not in _REMOVABLE:
            return False
        return self.name in _KNOWN and self.name not in _ASKED_ONLY


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
        return self.agrees_with(facts_of_event(device, release), others)

    def agrees_with(self, facts: EventFacts, others: Devices = NO_DEVICES) -> bool | None:
        """Whether an event with these properties matches; None if that cannot be determined."""
        if self._addresses is not None and facts["KERNEL", None] not in self._addresses:
            return False
        matches: bool | None = True
        for key in self.keys:
            if key.is_match:
                answer = _answer(key, facts, others)
                if answer is False:
                    return False
                matches = matches and answer
        return matches

    def value(self, name: str, attribute: str | None = None) -> str | None:
        """The last value that the rule assigns to a key; None if it assigns none."""
        return next((key.value for key in reversed(self.keys) if not key.is_match and (key.name, key.attribute) == (name, attribute)), None)

    @functools.cached_property
    def label(self) -> str | None:
        return self.value("LABEL")

    @functools.cached_property
    def target(self) -> str | None:
        """The label at which evaluation continues if this rule matches."""
        return self.value("GOTO")

    @functools.cached_property
    def _addresses(self) -> frozenset[str] | None:
        """The addresses of the only devices that the rule can match; None if it does not name them."""
        named = [key.value for key in self.keys if key.name == "KERNEL" and key.operator == "==" and not key.ignores_case]
        if not named or _PATTERN.search(named[0]):
            return None
        return frozenset(named[0].split("|"))

    @property
    def override(self) -> str | None:
        """The driver_override that the rule sets."""
        return self.value("ATTR", "driver_override")

    @property
    def runs_override(self) -> bool:
        """Whether a command that the rule runs mentions driver_override."""
        return any(key.name in ("RUN", "PROGRAM", "IMPORT") and "driver_override" in key.value for key in self.keys)


@dataclasses.dataclass(frozen=True)
class Override:
    """A driver_override that a rule sets for a function.  ``driver`` is None if it depends on the event; ``certain`` is False then."""

    rule: Rule
    driver: str | None
    certain: bool


@dataclasses.dataclass(frozen=True)
class Rules:
    """Rules in the order in which udev evaluates them."""

    rules: tuple[Rule, ...]

    @classmethod
    def read(
        cls,
        tree: FileTree,
        mentioning: t.Sequence[bytes] = (b"",),
        directories: t.Sequence[str] = DIRECTORIES,
    ) -> Rules:
        """The rules of a host, from files that contain one of the words ``mentioning``.

        Of files with the same name, the one in the first directory counts; files are sorted by name, whatever their directory.
        """
        chosen: dict[str, str] = {}
        for directory in directories:
            for name in tree.names(directory):
                if name.endswith(".rules"):
                    chosen.setdefault(name, f"{directory}/{name}")
        rules: list[Rule] = []
        for name in sorted(chosen):
            path = chosen[name]
            if not tree.is_file(path):
                continue
            content = tree.read_bytes(path)
            if any(word in content for word in mentioning):
                rules += parse(content.decode("utf-8", "surrogateescape"), tree.shown(path))
        return cls(tuple(rules))

    @functools.cached_property
    def _matched_properties(self) -> tuple[tuple[tuple[str, str | None], t.Callable[[Device], str]], ...]:
        """The properties that any rule matches on, with their getters: computing only these saves time on a thousand devices."""
        matched = {(key.name, key.attribute) for rule in self.rules for key in rule.keys if key.is_match}
        return tuple((fact, get) for fact, get in _OF_DEVICE.items() if fact in matched)

    def overrides(self, device: Device, release: str | None = None) -> tuple[Override, ...]:
        """The overrides that the rules set for a function, in order: the last certain one counts."""
        return tuple(override for rule, certain in self.matching(device, release) for override in _overrides_of(rule, certain))

    def matching(
        self, device: Device, release: str | None = None, others: Devices = NO_DEVICES, action: str = ADD
    ) -> t.Iterator[tuple[Rule, bool]]:
        """The rules that are evaluated for a function's event, by default "add", and match it, in order, and whether that is certain."""
        facts = {**facts_of_all(release, action), **{fact: get(device) for fact, get in self._matched_properties}}
        skip_to: tuple[str, str] | None = None
        doubtful: set[tuple[str, str]] = set()
        for rule in self.rules:
            if rule.label is not None:
                doubtful.discard((rule.path, rule.label))
                skip_to = None if skip_to == (rule.path, rule.label) else skip_to
            if skip_to is not None and skip_to[0] == rule.path:
                continue
            matches = rule.agrees_with(facts, others)
            if matches is False:
                continue
            certain = matches is True and not any(path == rule.path for path, _unused in doubtful)
            yield rule, certain
            if rule.target is not None and certain:
                skip_to = (rule.path, rule.target)
            elif rule.target is not None:
                doubtful.add((rule.path, rule.target))


def _overrides_of(rule: Rule, certain: bool) -> t.Iterator[Override]:
    if rule.override is not None:
        known = not _SUBSTITUTION.search(rule.override)
        yield Override(rule, rule.override if known else None, certain and known)
    if rule.runs_override:
        yield Override(rule, None, False)


def attribute_of_another(key: Key) -> tuple[str, str] | None:
    """The address and the attribute, if a key refers to a given PCI function and not to the event's own device."""
    match = _OF_ANOTHER.fullmatch(key.attribute or "") if key.name == "ATTR" else None
    return None if match is None else (match[1], match[2])


def parse(text: str, path: str) -> list[Rule]:
    """The rules in a file's text, without the lines that udev rejects."""
    rules = []
    for number, line in _logical_lines(text):
        keys, position = [], 0
        while position < len(line):
            match = _KEY.match(line, position)
            if match is None:
                break
            name, attribute, operator, prefix, value = match.groups()
            keys.append(Key(name, attribute, operator, value.replace('\\"', '"'), prefix == "i"))
            position = match.end()
        if keys and not line[position:].strip(" \t,") and all(key.is_valid for key in keys):
            rules.append(Rule(path, number, tuple(keys)))
    return rules


def _logical_lines(text: str) -> t.Iterator[tuple[int, str]]:
    """Logical lines with the number of their first physical line; a comment inside a continued line is dropped, as udev does."""
    pending, start = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if line.startswith("#"):
            continue
        start = start if pending else number
        if line.endswith("\\"):
            pending += line[:-1]
            continue
        line, pending = pending + line, ""
        if line:
            yield start, line


def facts_of_all(release: str | None, action: str = ADD) -> EventFacts:
    """The properties that are the same for every PCI function's event."""
    facts: dict[tuple[str, str | None], str] = {
        ("ACTION", None): action,
        ("SUBSYSTEM", None): "pci",
        ("SUBSYSTEMS", None): "pci",
        ("ENV", "SUBSYSTEM"): "pci",
        ("ENV", "ACTION"): action,
    }
    if release is not None:
        facts["SYSCTL", "kernel/osrelease"] = facts["SYSCTL", "kernel.osrelease"] = release
    return facts


_OF_DEVICE: t.Mapping[tuple[str, str | None], t.Callable[[Device], str]] = {
    ("KERNEL", None): lambda device: device.address,
    ("ATTR", "vendor"): lambda device: f"0x{device.vendor:04x}",
    ("ATTR", "device"): lambda device: f"0x{device.device:04x}",
    ("ATTR", "subsystem_vendor"): lambda device: f"0x{device.subsystem_vendor:04x}",
    ("ATTR", "subsystem_device"): lambda device: f"0x{device.subsystem_device:04x}",
    ("ATTR", "class"): lambda device: f"0x{device.class_code:06x}",
    ("ATTR", "revision"): lambda device: f"0x{device.revision:02x}",
    ("ATTR", "modalias"): lambda device: device.modalias,
    ("ENV", "MODALIAS"): lambda device: device.modalias,
    ("ENV", "PCI_ID"): lambda device: f"{device.vendor:04X}:{device.device:04X}",
    ("ENV", "PCI_SUBSYS_ID"): lambda device: f"{device.subsystem_vendor:04X}:{device.subsystem_device:04X}",
    ("ENV", "PCI_SLOT_NAME"): lambda device: device.address,
    # Here the kernel prints the class with four digits at least (pci_uevent(): "%04X").
    ("ENV", "PCI_CLASS"): lambda device: f"{device.class_code:04X}",
}


def facts_of_event(device: Device, release: str | None) -> EventFacts:
    """The known properties of a function's "add" event, by key and attribute."""
    return {**facts_of_all(release), **{fact: get(device) for fact, get in _OF_DEVICE.items()}}


def _answer(key: Key, facts: EventFacts, others: Devices) -> bool | None:
    another = attribute_of_another(key)
    if another is not None and others:
        device = others.get(another[0])
        if device is None:
            # An attribute that cannot be read matches neither == nor != (udev_rule_apply_token_to_event()).
            return False
        get = _OF_DEVICE.get((key.name, another[1]))
        fact = None if get is None else get(device)
    else:
        fact = facts.get((key.name, key.attribute))
    if fact is None or _SUBSTITUTION.search(key.value):
        return None
    value = key.value
    if key.ignores_case:
        fact, value = fact.lower(), value.lower()
    found = fact == value or any(matches(fact, pattern) for pattern in value.split("|"))
    return found == (key.operator == "==")

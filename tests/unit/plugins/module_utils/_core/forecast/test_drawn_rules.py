# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of rules that are drawn, against a small udev that goes through each line for each device, as udev_rules_apply_to_event().

The forecast leaves out what cannot matter, and looks at devices together that no rule tells apart; this one does neither.
"""

from __future__ import annotations

import fnmatch
import random
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.compared_rules import ComparedRules
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import IfDriver, Noticed, SetOverride
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.events import Events
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import Modprobe
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.registration import Registrar
from ansible_collections.vfio.variants.tests.unit.boots import boot, device

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

FIRST, SECOND, OTHER = "0000:3b:00.0", "0000:5e:00.0", "0000:02:00.0"
# Two identical cards on buses of their own, and another device.
DEVICES = (
    device(FIRST, path=f"/devices/pci0000:3a/{FIRST}"),
    device(SECOND, path=f"/devices/pci0000:5d/{SECOND}"),
    device(OTHER, "8086:10d3", class_code=0x020000, path=f"/devices/pci0000:00/{OTHER}"),
)
ADDRESSES = (FIRST, SECOND, OTHER, "0000:3b:*", "0000:5?:*|x", "*", f"{FIRST}|{OTHER}")
PATHS = (f"*{FIRST}", f"*/{SECOND}", "*pci0000:00*")
NUMBERS = ("0x10de", "0x8086", "0x*", "0x1002")
ASKED: t.Mapping[str, t.Sequence[str]] = {
    **dict.fromkeys(("KERNEL", "ENV{PCI_SLOT_NAME}", "KERNELS"), ADDRESSES),
    **dict.fromkeys(("DEVPATH", "ENV{DEVPATH}"), PATHS),
    **dict.fromkeys(("ATTR{vendor}", "ATTRS{vendor}"), NUMBERS),
    **dict.fromkeys(("ENV{X}", "ENV{Y}"), ("", "1", "2", "?*")),
    "ACTION": ("add", "remove", "add|change", "a*"),
    "SUBSYSTEM": ("pci", "usb", "p*"),
    "TAG": ("t", "u"),
}
OVERRIDE = "ATTR{driver_override}"
# In the order in which udev carries out those of one line.
DONE: t.Mapping[str, tuple[t.Sequence[str], t.Sequence[str]]] = {
    "TAG": (("+=", "=", "-="), ("t", "u")),
    "ENV{X}": (("=", "+=", ":="), ("1", "2", "", "%k")),
    "ENV{Y}": (("=", "+=", ":="), ("1", "2", "")),
    OVERRIDE: (("=", "+=", ":="), ("vfio-pci", "nouveau", "none", "x$env{X}")),
    "GOTO": (("=",), ("l", "m", "n")),
    "LABEL": (("=",), ("l", "m", "n")),
}
MATCHES = ("==", "!=")
Key = tuple[str, str, str]


def drawn(seed: int) -> list[list[Key]]:
    chance = random.Random(seed)  # noqa: S311 - draws tests
    lines = []
    for _line in range(chance.randint(3, 12)):
        asked = chance.choices(list(ASKED), k=chance.randint(0, 3))
        done = chance.sample(list(DONE), chance.randint(0, 2)) or ([] if asked else ["LABEL"])
        keys = [(name, chance.choice(("==", "==", "!=")), chance.choice(ASKED[name])) for name in asked]
        lines.append([*keys, *((name, chance.choice(DONE[name][0]), chance.choice(DONE[name][1])) for name in done)])
    return lines


def agrees(key: Key, fact: str) -> bool:
    return any(fnmatch.fnmatchcase(fact, pattern) for pattern in key[2].split("|")) == (key[1] == "==")


class Event:
    """What udev knows of one device's "add" event, and has set in it."""

    def __init__(self, one: Device) -> None:
        path = one.path or ""
        self.name, self.bus, self.vendor = one.address, path.split("/")[2], f"0x{one.vendor:04x}"
        self.facts = {"KERNEL": self.name, "SUBSYSTEM": "pci", "ACTION": "add", "DEVPATH": path, "ATTR{vendor}": self.vendor}
        self.facts |= {"ENV{DEVPATH}": path, "ENV{PCI_SLOT_NAME}": self.name}
        self.properties: dict[str, str] = {}
        self.tags: set[str] = set()
        self.override: str | None = None

    def matches(self, keys: t.Sequence[Key]) -> bool:
        above = [key for key in keys if key[0] in ("KERNELS", "ATTRS{vendor}")]
        own = (key for key in keys if key not in above)
        return all(map(self._agrees, own)) and (not above or any(self._one_agrees(above, name) for name in (self.name, self.bus)))

    def _agrees(self, key: Key) -> bool:
        if key[0] == "TAG":
            return any(agrees((key[0], "==", key[2]), tag) for tag in self.tags) == (key[1] == "==")
        return agrees(key, self.facts.get(key[0], self.properties.get(key[0], "")))

    def _one_agrees(self, keys: t.Sequence[Key], name: str) -> bool:
        """The root bus has no vendor, with which neither == nor != agrees."""
        return all(agrees(key, name) if key[0] == "KERNELS" else name == self.name and agrees(key, self.vendor) for key in keys)

    def do(self, name: str, operator: str, written: str) -> None:
        value = written.replace("%k", self.name).replace("$env{X}", self.properties.get("ENV{X}", ""))
        if name == "TAG":
            self.tags = {value} if operator == "=" else self.tags - {value} if operator == "-=" else self.tags | {value}
        elif name == OVERRIDE:
            self.override = value
        elif name in ("ENV{X}", "ENV{Y}") and (value or operator != "+="):
            before = self.properties.get(name, "") if operator == "+=" else ""
            self.properties[name] = f"{before} {value}" if before else value


def override_of(lines: t.Sequence[t.Sequence[Key]], one: Device) -> str | None:
    event, position = Event(one), 0
    while position < len(lines):
        keys = lines[position]
        position += 1
        if not event.matches([key for key in keys if key[1] in MATCHES]):
            continue
        done = sorted((key for key in keys if key[1] not in MATCHES), key=lambda key: list(DONE).index(key[0]))
        for name, operator, value in done:
            event.do(name, operator, value)
            if name == "GOTO":
                below = (number for number in range(position, len(lines)) if ("LABEL", "=", value) in lines[number])
                position = next(below, position)
    return event.override


@pytest.mark.sampled(3)
@pytest.mark.parametrize("first", range(0, 800, 100))
def test_overrides_are_those_that_udev_writes(first: int) -> None:
    for seed in range(first, first + 100):
        lines = drawn(seed)
        text = "".join(f"{', '.join(name + operator + chr(34) + value + chr(34) for name, operator, value in keys)}\n" for keys in lines)
        found = boot(rules=text)
        stage = found.stages[-1]
        events = Events(
            ComparedRules(found, stage, {one.address: one for one in DEVICES}),
            Modprobe(found, stage, frozenset(), Registrar(found).settings),
        )
        for one in DEVICES:
            effects = events.of(one)
            assert not any(isinstance(effect, (IfDriver, Noticed)) for effect in effects)
            written = [effect.driver for effect in effects if isinstance(effect, SetOverride)]
            assert (written[-1] if written else None) == override_of(lines, one), f"{seed}: {one.address}\n{text}"

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loops of scripts over all PCI functions that go on only with those of certain IDs.

for d in /sys/bus/pci/devices/*; do
  [ "$(cat "$d/vendor")" = 0x10de ] && [ "$(cat "$d/device")" = 0x1db1 ] || continue
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.shell_text import Line

_FOR = re.compile(r"\s*for\s+(\w+)\s+in\s+/sys/bus/pci/devices/\*/?\s*;\s*do\s*$")
_OPENS, _CLOSES = re.compile(r"(?:^|[\s;&|])(?:for|while|until)\s"), re.compile(r"(?:^|[\s;])done(?:$|[\s;<>|&])")
_TEST = (
    r"\[\[?\s+\"?\$\((?:cat\s+|<\s*)\"?\$\{?(?P<variable>\w+)\}?/(?P<name>vendor|device|subsystem_vendor|subsystem_device|class)\"?\)\"?"
    r"\s+==?\s+[\"']?(?P<value>0x[0-9a-f]+)[\"']?\s+\]\]?"
)
_ONE = re.compile(_TEST)
_PLAIN = re.sub(r"\?P<\w+>", "?:", _TEST)
_TESTS = rf"{_PLAIN}(?:\s*&&\s*{_PLAIN})*"
_CONTINUE = re.compile(rf"\s*{_TESTS}\s*\|\|\s*continue\s*;?\s*")
_IF = re.compile(rf"\s*if\s+{_TESTS}\s*;\s*then\s*")
_END = re.compile(r"\s*fi\s*;?\s*")
_BRANCH = re.compile(r"(?:^|[\s;])(?:if|else|elif|fi|case)(?:$|[\s;])")


@dataclasses.dataclass(frozen=True)
class Guarded:
    """The variable that stands for a function's folder, and the addresses of the only functions that it can be of."""

    variable: str
    addresses: frozenset[str]

    def plain(self, text: str) -> str:
        """A line with one such folder in the variable's place."""
        return re.sub(rf"\$(?:{self.variable}\b|\{{{self.variable}\}})", "/sys/bus/pci/devices/0000:00:00.0", text)


def of(lines: t.Sequence[Line], inventory: Inventory | None) -> dict[Line, Guarded]:
    """The lines that are run for such functions alone."""
    found: dict[Line, Guarded] = {}
    for place, line in enumerate(lines) if inventory is not None else ():
        match = _FOR.match(line.text) if line.in_shell else None
        if match is not None and inventory is not None:
            body = list(_body(lines[place + 1 :], line.shown))
            tests, inside = _guard(body)
            if tests and all(one["variable"] == match[1] for one in tests) and not _assigns(match[1], body):
                addresses = frozenset(device.address for device in inventory.devices if _agrees(device, tests))
                found.update((one, Guarded(match[1], addresses)) for one in inside)
    return found


def _body(lines: t.Sequence[Line], shown: str) -> t.Iterator[Line]:
    """The lines of a loop, up to its end."""
    depth = 1
    for line in lines:
        depth += len(_OPENS.findall(line.text)) - len(_CLOSES.findall(line.text))
        if line.shown != shown or depth <= 0:
            return
        yield line


def _guard(body: t.Sequence[Line]) -> tuple[list[t.Mapping[str, str]], t.Sequence[Line]]:
    """The tests that decide for whom the rest of the loop is run, and that rest."""
    tests: list[t.Mapping[str, str]] = []
    rest = list(body)
    while rest and _CONTINUE.fullmatch(rest[0].text):
        tests += (one.groupdict() for one in _ONE.finditer(rest.pop(0).text))
    if not tests and len(rest) > 2 and _IF.fullmatch(rest[0].text) and _END.fullmatch(rest[-1].text):
        inside = rest[1:-1]
        if not any(_BRANCH.search(line.text) for line in inside):
            return [one.groupdict() for one in _ONE.finditer(rest[0].text)], inside
    return tests, rest


def _assigns(variable: str, body: t.Sequence[Line]) -> bool:
    return any(re.search(rf"(?:^|[\s;&|])(?:{variable}=|(?:for|read)\s(?:\S+\s)*{variable}\b)", line.text) for line in body)


def _agrees(device: Device, tests: t.Sequence[t.Mapping[str, str]]) -> bool:
    # sysfs shows four digits, and six of the class.
    shown = {
        "vendor": f"0x{device.vendor:04x}",
        "device": f"0x{device.device:04x}",
        "subsystem_vendor": f"0x{device.subsystem_vendor:04x}",
        "subsystem_device": f"0x{device.subsystem_device:04x}",
        "class": f"0x{device.class_code:06x}",
    }
    return all(shown[one["name"]] == one["value"] for one in tests)

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units that no link in the unit folders asks for: those of presets at a first boot, and those that mounts in fstab require."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import first_of_name, head_text
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import matches
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import machine_facts
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.command_line import with_suffix

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import UnitFiles

PRESETS = ("/etc/systemd/system-preset", "/usr/local/lib/systemd/system-preset", "/usr/lib/systemd/system-preset")
FSTAB = "/etc/fstab"
LARGEST = 256 << 10
_INSTALLS = ("WantedBy", "RequiredBy", "UpheldBy")
_TEMPLATE = "@."
_REQUIRES = re.compile(r"x-systemd\.(?:requires|wants)=([^,\s]+)")
Asked = t.Tuple[str, str]  # noqa: UP006 - read by Python 3.9 as well
"""A unit, and what asks for it."""


@dataclasses.dataclass(frozen=True)
class _Rule:
    """A line of a preset file; ``instances`` are those that it enables of a template."""

    pattern: str
    enables: bool
    place: str
    instances: tuple[str, ...] = ()


# What no line is about is enabled.
_NO_RULE = _Rule("*", True, machine_facts.MACHINE_ID)


def of_presets(host: Host, files: UnitFiles, cmdline: Cmdline) -> tuple[Asked, ...]:
    """The units that systemd enables before it starts the first one of a first boot (systemd.preset(5), machine-id(5))."""
    if machine_facts.is_first_boot(host, cmdline) is False:
        return ()
    rules = tuple(_rules(host))
    found: dict[str, str] = {}
    for name in sorted(files.names()):
        rule = next((one for one in rules if matches(name, one.pattern)), _NO_RULE)
        if rule.enables:
            for instance in _instances(files, name, rule.instances):
                _enable(files, instance, rule.place, found)
    return tuple(found.items())


def _instances(files: UnitFiles, name: str, given: tuple[str, ...] = ()) -> list[str]:
    """What is enabled of a unit: of a template those that are named, or its DefaultInstance=."""
    if _TEMPLATE not in name:
        return [name]
    template = files.load(name)
    defaults = [] if template is None else [one.value for one in template.all("Install", "DefaultInstance")[-1:]]
    return [name.replace(_TEMPLATE, f"@{instance}.", 1) for instance in given or defaults]


def _enable(files: UnitFiles, name: str, place: str, found: dict[str, str]) -> None:
    """Adds a unit, and those of its Also=, to what is found."""
    pending, seen = [name], set()
    while pending:
        one = pending.pop()
        unit = None if one in seen else files.load(one)
        seen.add(one)
        if unit is None or unit.name != one:
            continue
        if any(unit.all("Install", key) for key in _INSTALLS):
            found.setdefault(one, place)
        also = [word for setting in unit.all("Install", "Also") for word in setting.value.split()]
        pending += [instance for other in also for instance in _instances(files, other)]


def _rules(host: Host) -> t.Iterator[_Rule]:
    """In order; the first that matches counts (read_presets() and parse_preset_line() in install.c)."""
    chosen = first_of_name(host, PRESETS, ".preset")
    for name in sorted(chosen):
        for number, line in enumerate(head_text(host, chosen[name], LARGEST).split("\n"), 1):
            verb, pattern = (*line.split(None, 1), "", "")[:2]
            place, pattern = f"{chosen[name]}:{number}", pattern.rstrip()
            if verb == "enable" and pattern:
                first, *instances = pattern.split()
                yield _Rule(first, True, place, tuple(instances) if _TEMPLATE in first else ())
            elif verb in ("disable", "ignore") and pattern:
                yield _Rule(pattern, False, place)


def of_mounts(host: Host) -> tuple[Asked, ...]:
    """The units that x-systemd.requires= and x-systemd.wants= in fstab start with their file system (systemd.mount(5))."""
    found = []
    for number, line in enumerate(head_text(host, FSTAB, LARGEST).split("\n"), 1):
        words = line.split()
        if len(words) > 3 and not words[0].startswith("#"):
            found += [(unit, f"{FSTAB}:{number}") for unit in units_of_options(words[3])]
    return tuple(found)


def units_of_options(options: str) -> tuple[str, ...]:
    """The units that a file system's options in fstab have started with it."""
    if "noauto" in options.split(","):
        return ()
    return tuple(unit for unit in _REQUIRES.findall(options) if with_suffix(unit) == unit)

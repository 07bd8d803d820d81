# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What driverctl does at boot: a udev rule asks systemd for a unit for each device with a saved override, and that runs the program.

The same in its versions 0.111 (Debian 12), 0.115 (Debian 13) and 0.121, whose rule lies in 05-driverctl.rules.  Where one of
the three is missing or masked, nothing happens.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import changed_units, read_root
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Assigned
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.read_systemd import UNITS
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import systemd_version
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.schedules import is_executable
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import mask_of
from ansible_collections.vfio.variants.plugins.module_utils._core.udev import rules as udev

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rule

FOLDER = "/etc/driverctl.d"
BUS = "pci-"
ASKED = "driverctl@"
UNIT = f"{ASKED}.service"
CHANGED = f"through a modified {UNIT}"
_START = re.compile(r"^[ \t]*ExecStart[ \t]*=[ \t]*[-@:+!|]*(/\S+)[ \t]+load-override[ \t]+%I[ \t]*$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Driverctl:
    """The saved drivers, by address: those that are bound at boot, and those of a unit whose effect cannot be determined."""

    overrides: t.Mapping[str, Assigned] = dataclasses.field(default_factory=dict)
    may_take: t.Mapping[str, Assigned] = dataclasses.field(default_factory=dict)
    adds_ids: bool = False
    """From 0.115 on it writes new_id for vfio-pci, which takes every unbound device of that ID."""

    def without(self, masked: t.Collection[str]) -> Driverctl:
        """What is left where these units are masked."""
        if UNIT in masked:
            return Driverctl()
        saved, unknown = (
            {one: done for one, done in found.items() if _unit_of(f"{BUS}{one}") not in masked} for found in (self.overrides, self.may_take)
        )
        return dataclasses.replace(self, overrides=saved, may_take=unknown)

    @classmethod
    def read(cls, host: Host) -> Driverctl:
        saved = dict(_saved(host))
        unit = _unit(host) if saved and read_root.init_is_systemd(host) and _is_asked_for(host) else None
        if unit is None:
            return cls()
        program = _START.search(unit)
        if program is None or _is_extended(host):
            unknown = {address: dataclasses.replace(assigned, when=CHANGED) for address, assigned in saved.items() if assigned.driver}
            return cls(may_take=unknown)
        if not is_executable(host, program[1]):
            return cls()
        return cls(saved, adds_ids=b"new_id" in host.read_bytes(program[1]))


def why_idle(host: Host) -> tuple[str, str] | None:
    """Why nothing is done at boot about any saved override, and the file to blame; None if something is, or if none is saved."""
    names = [name for name in host.names(FOLDER) if name.startswith(BUS) and host.is_file(f"{FOLDER}/{name}")]
    if not names or not read_root.init_is_systemd(host):
        return None
    if _unit(host) is None:
        place = next((f"{folder}/{UNIT}" for folder in UNITS if host.link(f"{folder}/{UNIT}") or host.exists(f"{folder}/{UNIT}")), None)
        return (place, f"masks {UNIT}") if place else (FOLDER, f"driverctl is not installed: there is no {UNIT}")
    if not _is_asked_for(host):
        directories = read_root.lasting(udev.DIRECTORIES)
        mask = next(
            (path for path in udev.masked_files(host, directories, systemd_version.version(host)) if _hides_rule(host, path, directories)),
            None,
        )
        return (mask, "masks the rule that starts driverctl") if mask else (FOLDER, f"no rule of udev starts {UNIT}")
    program = _START.search(_unit(host) or "")
    if program is None:
        return None
    return None if is_executable(host, program[1]) else (FOLDER, f"{program[1]}, which {UNIT} runs, is not a program")


def masked(host: Host, by_word: t.Collection[str], source: str) -> t.Iterator[tuple[str, str]]:
    """The saved overrides whose own unit is masked, each with the mask; ``by_word`` are units that the command line masks."""
    for name in host.names(FOLDER):
        unit = _unit_of(name)
        mask = mask_of(host, unit, UNITS)
        words = [f"{source}: systemd.mask={one}" for one in (unit, UNIT) if one in by_word]
        if mask is not None or words:
            yield f"{FOLDER}/{name}", mask or words[0]


def _unit_of(name: str) -> str:
    """The unit of a saved override, by the file's name: systemd escapes nothing in it, as no character is forbidden in units' names."""
    return f"{ASKED}{name}.service"


def _hides_rule(host: Host, mask: str, directories: t.Sequence[str]) -> bool:
    return any(ASKED in host.read_text(path) for path in udev.hidden_by(host, mask, directories))


def _saved(host: Host) -> t.Iterator[tuple[str, Assigned]]:
    """The files that are not empty; of their whole text bash drops the line's end alone: `drv=$(< file)`."""
    for name in host.names(FOLDER):
        path = f"{FOLDER}/{name}"
        masked = mask_of(host, _unit_of(name), UNITS) is not None
        text = host.read_text(path) if name.startswith(BUS) and not masked and host.is_file(path) else ""
        if text:
            yield name[len(BUS) :], Assigned(text.rstrip("\n"), path)


def _is_asked_for(host: Host) -> bool:
    directories, version = read_root.lasting(udev.DIRECTORIES), systemd_version.version(host)
    found = udev.Rules.read(host, (ASKED.encode(),), directories, version)
    return any(_asks(rule) for rule in found.rules)


def _asks(rule: Rule) -> bool:
    """systemd looks at devices with its tag only."""
    tagged = any(key.name == "TAG" and not key.is_match and key.value == "systemd" for key in rule.keys)
    return tagged and ASKED in (rule.value("ENV", "SYSTEMD_WANTS") or "")


def _unit(host: Host) -> str | None:
    """The unit's text from the first directory that has it; None where it is missing, empty, or a link to /dev/null."""
    for folder in UNITS:
        path = f"{folder}/{UNIT}"
        if host.link(path) is not None or host.exists(path):
            return (host.read_text(path) or None) if host.is_file(path) else None
    return None


def _is_extended(host: Host) -> bool:
    """Whether files beside the unit, or an administrator's version of it, change what it does; that one's command is read by itself."""
    changes = changed_units.read(host, UNIT, None)
    beside = (one for one in changes.matters if one.key != "ExecStart" or f"{UNIT}.d/" in one.source or "/service.d/" in one.source)
    return any(True for _one in beside) or changes.off is not None

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration that something brings at boot, besides what lies in the root: by credentials and extensions.

When its readers see it is not known, so each part is bounded by what its text names.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import EVENT_DEVICE, Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import services, sysctl, tmpfiles, tokens
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.actors import UNBOUNDED
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import Unit, parsed
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import DIRECTORIES, parse

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.programs import ProgramAnalysis
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import Key
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rule

UNIT_NAME = re.compile(r"(?<![\w@.\\-])[\w@.\\:-]+\.(?:service|socket|target|timer|path|mount|automount|swap)(?![\w.-])")
UNITS_OF_DRIVERS = ("driverctl@", "systemd-modules-load", "systemd-udev", "systemd-tmpfiles", "systemd-sysctl", "kmod")
"""The beginnings of names of units whose work is simulated."""
_SUBSTITUTES = re.compile(r"[$%]")
_HARMLESS = frozenset(("SYMLINK", "OWNER", "GROUP", "MODE", "SECLABEL", "NAME", "TAG", "LABEL", "GOTO"))
# Properties that decide which driver comes, or what systemd starts.
_DECIDING = ("MODALIAS", "SYSTEMD_WANTS", "SYSTEMD_USER_WANTS", "DRIVER", "SUBSYSTEM", "ID_NET_DRIVER")


def of_rules(judge: ProgramAnalysis, text: str, source: str, name: str) -> t.Iterator[Influence]:
    """What udev rules may do that are added under the file name ``name``."""
    if any(name in judge.tree.names(folder) for folder in DIRECTORIES if judge.tree.is_dir(folder)):
        yield Influence(source, f"stands in for the host's {name}", UNBOUNDED)
        return
    for rule in parse(text, source):
        for key in rule.keys:
            if not key.is_match or key.is_run:
                yield from _of_key(judge, rule, key)


def _of_key(judge: ProgramAnalysis, rule: Rule, key: Key) -> t.Iterator[Influence]:
    source, addresses = str(rule), rule.addresses
    if key.is_builtin:
        yield from _of_builtin(judge, rule, key)
    elif (key.name == "RUN" and key.operator == "+=") or key.is_run:
        if key.is_run and key.name == "IMPORT" and key.attribute != "program":
            return
        for one in judge.of_event(key.value, source):
            own = one.addresses is not None and EVENT_DEVICE in one.addresses
            reached = one.addresses if not own or one.addresses is None else None
            if own and addresses is not None and one.addresses is not None:
                reached = (one.addresses - {EVENT_DEVICE}) | addresses
            yield dataclasses.replace(one, addresses=reached)
    elif key.name == "ATTR" and key.attribute == "driver_override" and not _SUBSTITUTES.search(key.value):
        drivers = frozenset((key.value,) if key.value else ())
        yield Influence(source, "writes to driver_override", frozenset(("override",)), addresses, None, drivers)
    elif key.name == "ATTR":
        path = f"/sys/bus/pci/{key.attribute}"
        if any(True for _token in tokens.acting(f"> {path}")) or "[" in path:
            reached = None if "/" in (key.attribute or "") else addresses
            yield Influence(source, f"writes to {key.attribute}", UNBOUNDED, reached)
    elif not (key.name in _HARMLESS or (key.name == "ENV" and key.attribute not in _DECIDING)):
        yield Influence(source, f"sets {key.name}", UNBOUNDED, None if key.name == "SYSCTL" else addresses)


def _of_builtin(judge: ProgramAnalysis, rule: Rule, key: Key) -> t.Iterator[Influence]:
    source, words = str(rule), key.words
    if key.name == "RUN" and key.operator != "+=":
        yield Influence(source, "replaces what is run", UNBOUNDED, rule.addresses)
    if words[:2] != ["kmod", "load"]:
        return
    if not words[2:] or any(_SUBSTITUTES.search(word) for word in words[2:]):
        yield Influence(source, "loads what it names when it runs", frozenset(("load",)))
    for word in words[2:]:
        yield from judge.of(f"modprobe {word}", source, {})


def of_tmpfiles(judge: ProgramAnalysis, text: str, source: str) -> t.Iterator[Influence]:
    yield from tmpfiles.of_text(text, source, judge.inventory)


def of_sysctl(judge: ProgramAnalysis, text: str, source: str) -> t.Iterator[Influence]:
    yield from sysctl.of_text(text, source, judge.of)


def of_load_list(judge: ProgramAnalysis, text: str, source: str) -> t.Iterator[Influence]:
    for number, line in enumerate(text.split("\n"), 1):
        module = line.strip()
        if module and module[0] not in "#;":
            yield from judge.of(f"modprobe {module}", f"{source}:{number}", {})


def of_unit(judge: ProgramAnalysis, text: str, source: str, name: str) -> t.Iterator[Influence]:
    """What a unit, or a part of one, may do that is added to the host's, whatever starts it, with all units that it names."""
    if name.startswith(UNITS_OF_DRIVERS):
        yield Influence(source, f"changes {name}", UNBOUNDED)
        return
    settings = tuple(parsed(text, source, name))
    for command in services.commands(Unit(name, (name,), source, settings), judge.tree, manager=judge.manager):
        yield from judge.of_unit(command)
    for unit in dict.fromkeys(UNIT_NAME.findall(text)):
        yield from judge.unit(unit, source) if judge.unit is not None else ()

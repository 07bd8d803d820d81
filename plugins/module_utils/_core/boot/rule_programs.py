# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the programs and units that udev rules start may do to drivers, by what their files say; a name says nothing."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import EVENT_DEVICE
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import modprobe_path
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.exit_status import succeeds, writes
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.harmless_programs import HARMLESS, PROGRAMS
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.programs import ProgramAnalysis
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.read import judge_unit, units_of

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import Key
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules

UDEV_FOLDERS = ("/usr/lib/udev", "/lib/udev")
"""Where udev seeks a program that is named without its path."""
_NAME = re.compile(r"[\w.+-]+")
MOST = 256
"""So many command lines are judged; the rules of distributions have some fifty."""


def judged(
    tree: FileTree, rules: Rules, kernel: Kernel, inventory: Inventory | None = None, cmdline: Cmdline | None = None
) -> dict[str, tuple[Influence, ...]]:
    """By command line as it stands in the rules, with the units that it has systemd start.

    In an address, `%k` is the device whose event runs the program.
    """
    found: dict[str, tuple[Influence, ...]] = {}
    judge = ProgramAnalysis(tree, kernel, inventory, units_of(tree, kernel, inventory, cmdline))
    for rule in rules.rules:
        for key in rule.keys:
            if _runs_program(key) and key.value not in found and len(found) < MOST:
                found[key.value] = judge.of_event(_with_place(tree, key.value), str(rule))
    return found


def absent(tree: FileTree, rules: Rules) -> frozenset[str]:
    """Command lines of which udev finds no program.

    Without a path it looks into its own folder alone, if that has programs and not only what udev reads.  With one, the tree has others.
    """
    has_folder = any("." not in name for folder in UDEV_FOLDERS if tree.is_dir(folder) for name in tree.names(folder))

    def is_absent(command: str) -> bool:
        name = command.partition(" ")[0].strip("'\"")
        if name.startswith("/"):
            return modprobe_path.is_missing(tree, name)
        return has_folder and _NAME.fullmatch(name) is not None and not any(tree.exists(f"{folder}/{name}") for folder in UDEV_FOLDERS)

    return frozenset(key.value for rule in rules.rules for key in rule.keys if _runs_program(key) and is_absent(key.value))


def endings(tree: FileTree, rules: Rules) -> dict[str, bool | str]:
    """By command line, whether PROGRAM or IMPORT goes well: of `/bin/true`, `/usr/bin/test -e FILE` and those that are not there.

    Of one that goes well and writes something, such as `/bin/echo yes`, it is what that is.
    """
    gone = absent(tree, rules)
    found: dict[str, bool | str] = {}
    for key in (key for rule in rules.rules for key in rule.keys if _runs_program(key) and key.name in ("PROGRAM", "IMPORT")):
        program = key.value.partition(" ")[0].strip("'\"")
        if key.value in gone:
            found[key.value] = False
        elif program.startswith("/") and (tree.exists(program) or program.endswith("/false")):
            ending: bool | str | None = succeeds(tree, key.value)
            ending = writes(tree, key.value) if ending is None else ending
            if ending is not None:
                found[key.value] = ending
    return found


def of_units(
    host: Host,
    rules: Rules,
    units: t.Mapping[str, frozenset[str] | None],
    kernel: Kernel,
    inventory: Inventory,
    cmdline: Cmdline | None = None,
) -> tuple[Influence, ...]:
    """What the units may do that rules have systemd start, even disabled ones.  ``units`` are those of `wanted_units()`."""
    found: dict[Influence, None] = {}
    for unit, addresses in list(units.items())[:MOST]:
        for one in judge_unit(host, unit, _asking(rules, unit), kernel, inventory, cmdline):
            found[_bounded(one, addresses)] = None
    return tuple(found)


def _asking(rules: Rules, unit: str) -> str:
    """File and line of the rule that asks for a unit; its name may have parts that are substituted."""
    asking = [
        (str(rule), name)
        for rule in rules.rules
        for key in rule.keys
        if key.name == "ENV" and key.attribute == "SYSTEMD_WANTS" and not key.is_match
        for name in key.value.split()
    ]
    asking += [(place, name) for value, place in rules.files.from_hwdb.get("SYSTEMD_WANTS", ()) for name in value.split()]
    fixed = ((place, re.split(r"[$%]", name)[0]) for place, name in asking)
    return next((place for place, start in fixed if unit.startswith(start)), asking[0][0] if asking else unit)


def _bounded(one: Influence, addresses: frozenset[str] | None) -> Influence:
    """Where the unit acts on the event's own device, it is one of those that it is started for."""
    if one.addresses is None or EVENT_DEVICE not in one.addresses:
        return one
    return dataclasses.replace(one, addresses=None if addresses is None else (one.addresses - {EVENT_DEVICE}) | addresses)


def _runs_program(key: Key) -> bool:
    if key.name == "RUN":
        return key.attribute != "builtin"
    if key.name == "SYSCTL":
        return not key.is_match and (key.attribute or "").replace("/", ".") in PROGRAMS and key.value not in HARMLESS
    return key.name == "PROGRAM" or (key.name == "IMPORT" and key.attribute == "program")


def _with_place(tree: FileTree, command: str) -> str:
    """The command with the path of its program, as udev finds it (udev-event.c, udev_event_spawn())."""
    word, blank, rest = command.partition(" ")
    name = word.strip("'\"")
    if name.startswith("/") or not name:
        return command
    place = next((f"{folder}/{name}" for folder in UDEV_FOLDERS if tree.exists(f"{folder}/{name}")), word)
    return f"{place}{blank}{rest}"

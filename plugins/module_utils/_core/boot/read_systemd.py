# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd does about drivers early at boot, in an initramfs or the root: systemd-modules-load and udev's coldplug."""

from __future__ import annotations

import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import changed_units
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Coldplug, ListedModule, LoadList, Reason
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import first_of_name
from ansible_collections.vfio.variants.plugins.module_utils._core.host.together import lines_of_lists
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import generators, systemd_version
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.command_line import EMERGENCY, target_of
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import mask_of, masked_want

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Step
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import UnitSetting

LISTS = ("/etc/modules-load.d", "/usr/local/lib/modules-load.d", "/usr/lib/modules-load.d", "/lib/modules-load.d")
UNITS = ("/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
PROGRAM = "systemd-modules-load"
LIST_UNIT, TRIGGER_UNIT = changed_units.LISTS, changed_units.TRIGGER
UDEV_UNITS = (changed_units.UDEVD, TRIGGER_UNIT)
ALL_UNITS = (LIST_UNIT, *UDEV_UNITS)
ByUnit = t.Mapping[str, changed_units.UnitChanges]
SYSINIT = "sysinit.target"
SETTLE_UNIT = "systemd-udev-settle.service"
FIRST, LAST = "first", "last"
SEVERAL_AT_A_TIME = 259
"""Since this version systemd-modules-load uses a pool of threads (its NEWS: "CHANGES WITH 259")."""


def steps(tree: FileTree, cmdline: Cmdline, source: str, in_initrd: bool) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """The steps of systemd's units, and doubts."""
    changes = _changes(tree, cmdline)
    off = _off(tree, cmdline, in_initrd, changes)
    loading = None if LIST_UNIT in off else _load_list(tree, cmdline, source, in_initrd)
    coldplug = None if any(unit in off for unit in UDEV_UNITS) else Coldplug()
    working = {unit: changes[unit] for unit in ALL_UNITS if unit not in off and (loading is not None or unit != LIST_UNIT)}
    order, doubts = _order(working)
    doubts += (*_want_doubts(tree, working), *changed_units.of_manager(tree, cmdline, source))
    doubts += _emergency_doubt(cmdline, source, in_initrd)
    if loading is None or coldplug is None:
        works = tuple(work for work in (loading, coldplug) if work is not None)
        return ((works,) if works else ()), doubts
    if order == FIRST:
        return ((loading,), (coldplug,)), doubts
    if order == LAST:
        return ((coldplug,), (loading,)), doubts
    return ((loading, coldplug),), doubts


def _emergency_doubt(cmdline: Cmdline, source: str, in_initrd: bool) -> tuple[str, ...]:
    """A doubt if a shell comes before the units that load drivers, which are started only if somebody goes on from there."""
    asked = target_of(cmdline, in_initrd)
    if asked is None or asked[0] != EMERGENCY:
        return ()
    return (f"{source}: {asked[1]} starts a shell before any driver is loaded for a device; what is loaded then cannot be determined.",)


def why_no_coldplug(tree: FileTree, cmdline: Cmdline, source: str, in_initrd: bool) -> Reason | None:
    """What masks the units that replay the devices' events, or the condition that they do not meet; None if they run."""
    off = _off(tree, cmdline, in_initrd, _changes(tree, cmdline))
    unit = next((unit for unit in UDEV_UNITS if unit in off), None)
    if unit is None:
        return None
    without = "without which no driver is loaded for a device"
    condition = off[unit]
    if condition is not None:
        return Reason(condition.source, f"{condition.key}={condition.value} keeps {unit} from being started, {without}")
    said = f"masks {unit}, {without}"
    mask = mask_of(tree, unit, UNITS)
    if mask is not None:
        return Reason(tree.shown(mask), said)
    return Reason(source, f"{cmdline.last('rd.systemd.mask' if in_initrd else 'systemd.mask')} {said}")


def why_no_lists(tree: FileTree, cmdline: Cmdline, source: str) -> str | None:
    """What masks the root's systemd-modules-load, or has the condition that it does not meet; None if it runs."""
    mask = mask_of(tree, LIST_UNIT, UNITS)
    if mask is not None:
        return tree.shown(mask)
    off = _off(tree, cmdline, False, _changes(tree, cmdline))
    if LIST_UNIT not in off:
        return None
    condition = off[LIST_UNIT]
    return f"{source}: {cmdline.last('systemd.mask')}" if condition is None else condition.source


def loads_lists(tree: FileTree, cmdline: Cmdline, in_initrd: bool) -> bool:
    """Whether systemd-modules-load runs, whatever it finds."""
    return LIST_UNIT not in _off(tree, cmdline, in_initrd, _changes(tree, cmdline))


def _load_list(tree: FileTree, cmdline: Cmdline, source: str, in_initrd: bool) -> LoadList | None:
    """The modules on the command line, then those in the files.  As modules-load.c."""
    keys = ("modules_load", "rd.modules_load") if in_initrd else ("modules_load",)
    given = [
        ListedModule(normalize_module_name(name), source, written=name)
        for key, value in cmdline.for_systemd
        if value is not None and normalize_module_name(key) in keys
        for name in value.split(",")
        if name
    ]
    modules = (*given, *_from_files(tree))
    known = systemd_version.version(tree)
    return LoadList(PROGRAM, modules, known is not None and known < SEVERAL_AT_A_TIME) if modules else None


def _from_files(tree: FileTree) -> t.Iterator[ListedModule]:
    """The files of all directories by name; of files with the same name the one in the first directory (conf_files_list_strv())."""
    chosen = first_of_name(tree, LISTS, ".conf")
    for path, number, line in lines_of_lists(tree, (chosen[name] for name in sorted(chosen))):
        module = line.strip()
        # systemd takes the whole line as the name, so one with options is not a module.
        if module and module[0] not in "#;" and not re.search(r"\s", module):
            target = tree.link(path)
            # Debian's modules.conf is a link to /etc/modules, which is the better known name.
            said = path if target is None else posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
            yield ListedModule(normalize_module_name(module), f"{tree.shown(said)}:{number}", written=module)


def _changes(tree: FileTree, cmdline: Cmdline) -> ByUnit:
    return {unit: changed_units.read(tree, unit, cmdline) for unit in ALL_UNITS}


def _off(tree: FileTree, cmdline: Cmdline, in_initrd: bool, changes: ByUnit) -> t.Mapping[str, UnitSetting | None]:
    """The units that do not run: linked to /dev/null, in `systemd.mask=` (systemd-debug-generator), or with a condition that fails."""
    masked = {unit: None for unit in ALL_UNITS if mask_of(tree, unit, UNITS) is not None}
    masked |= dict.fromkeys(generators.masked_by_word(tree, cmdline, in_initrd))
    failing = ((unit, one.off) for unit, one in changes.items() if unit not in masked)
    return {**masked, **{unit: condition for unit, condition in failing if condition is not None}}


def _want_doubts(tree: FileTree, units: t.Iterable[str]) -> t.Iterator[str]:
    """Doubts where sysinit.target no longer pulls in a unit, which another one may do."""
    for unit in (LIST_UNIT, TRIGGER_UNIT):
        mask = masked_want(tree, SYSINIT, unit) if unit in units else None
        if mask is not None:
            yield f"{tree.shown(mask)} keeps {SYSINIT} from starting {unit}; the effect cannot be determined."


def _order(units: ByUnit) -> tuple[str | None, tuple[str, ...]]:
    """Which comes first, if the units were ordered by the administrator; and doubts because of changes to these units."""
    order, doubts = None, []
    for unit, changes in units.items():
        after = changes.named("After")
        # The trigger unit ends when the events are sent: only the settle unit waits for the modules that they load.
        if unit == LIST_UNIT and SETTLE_UNIT in after & changes.named("Wants", "Requires"):
            order = LAST
        elif changes.named("Before").intersection(UDEV_UNITS) if unit == LIST_UNIT else LIST_UNIT in after:
            order = FIRST
        files = dict.fromkeys(one.source.rpartition(":")[0] for one in changes.matters)
        doubts += [f"{path} changes {unit}; the effect cannot be determined." for path in files]
    return order, tuple(doubts)

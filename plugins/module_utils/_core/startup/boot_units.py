# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which units, and which scripts of other inits, start with a host."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import names_if_any
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import asked_units, generators, schedules
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.command_line import SystemdWords
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.conditions import Conditions
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import FOLDERS, UnitFiles, mask_of
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.units import StartedUnits

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline

OPENRC = ("/etc/runlevels/sysinit", "/etc/runlevels/boot", "/etc/runlevels/default")


def at_boot(host: Host, files: UnitFiles, conditions: Conditions, cmdline: Cmdline, source: str) -> StartedUnits:
    """Those that systemd starts by its targets, the command line (of which ``source`` is the place), presets and mounts."""
    words = SystemdWords.of(cmdline)
    wants = [(unit, source) for unit in words.wants] if generators.can_run(host, generators.DEBUG) else []
    wants += [*asked_units.of_presets(host, files, cmdline), *asked_units.of_mounts(host)]
    return StartedUnits.at_boot(files, words.target, wants, conditions.may_hold)


def names(host: Host, cmdline: Cmdline, with_systemd: bool) -> frozenset[str]:
    """All names of the units that start and can, and names of scripts that run levels start, with OpenRC too."""
    if not with_systemd:
        return frozenset((*_scripts(host), *(name for folder in OPENRC for name in names_if_any(host, folder))))
    masked = generators.masked_by_word(host, cmdline)
    files, conditions = UnitFiles(host, masked), Conditions(host, cmdline)
    found = (one.unit for one in at_boot(host, files, conditions, cmdline, "").found.values())
    # systemd makes a unit of a script that has none of its name (systemd-sysv-generator(8)).
    scripts = (
        name
        for name in _scripts(host)
        for unit in (f"{name}.service",)
        if files.load(unit) is None and unit not in masked and mask_of(host, unit, FOLDERS) is None
    )
    return frozenset((*(name for unit in found if conditions.may_hold(unit) for name in unit.names), *scripts))


def _scripts(host: Host) -> t.Iterator[str]:
    """By the names that they have, not those of their links."""
    for job in schedules.init_scripts(host):
        yield (host.link_name(job.source) or job.source.rpartition("/")[2][3:]).removesuffix(".sh")

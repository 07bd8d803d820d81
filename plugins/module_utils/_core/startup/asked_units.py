# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units that no link in the unit folders asks for: those of presets at a first boot, and those that mounts in fstab require."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import first_of_name, head_text
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import matches
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.command_line import with_suffix

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import UnitFiles

MACHINE_ID, NOT_YET = "/etc/machine-id", "uninitialized"
PRESETS = ("/etc/systemd/system-preset", "/usr/local/lib/systemd/system-preset", "/usr/lib/systemd/system-preset")
FSTAB = "/etc/fstab"
LARGEST = 256 << 10
_INSTALLS = ("WantedBy", "RequiredBy", "UpheldBy")
_REQUIRES = re.compile(r"x-systemd\.(?:requires|wants)=([^,\s]+)")
Asked = t.Tuple[str, str]  # noqa: UP006 - read by Python 3.9 as well
"""A unit, and what asks for it."""


def of_presets(host: Host, files: UnitFiles) -> tuple[Asked, ...]:
    """The units that systemd enables before it starts the first one of a first boot (systemd.preset(5), machine-id(5))."""
    if (host.head(MACHINE_ID, 64) or b"").strip() != NOT_YET.encode():
        return ()
    rules = tuple(_rules(host))
    found = []
    for name in sorted(files.names()):
        unit = files.load(name) if "@" not in name else None
        if unit is None or unit.name != name or not any(unit.all("Install", key) for key in _INSTALLS):
            continue
        # What no line is about is enabled.
        enabled, place = next((rule[1:] for rule in rules if matches(name, rule[0])), (True, MACHINE_ID))
        if enabled:
            found.append((name, place))
    return tuple(found)


def _rules(host: Host) -> t.Iterator[tuple[str, bool, str]]:
    """A pattern, whether it enables, and its line; the first that matches counts."""
    chosen = first_of_name(host, PRESETS, ".preset")
    for name in sorted(chosen):
        for number, line in enumerate(head_text(host, chosen[name], LARGEST).split("\n"), 1):
            words = line.split()
            if len(words) > 1 and words[0] in ("enable", "disable"):
                yield words[1], words[0] == "enable", f"{chosen[name]}:{number}"


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

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the kernel's command line that decide what systemd starts (kernel-command-line(7), systemd(1))."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline

EMERGENCY = "emergency.target"
"""It starts a shell and nothing else: no unit of sysinit.target, which replay the devices' events."""
# rlmap in src/core/main.c.
_RUN_LEVELS = {
    **dict.fromkeys(("emergency", "-b"), EMERGENCY),
    **dict.fromkeys(("rescue", "single", "-s", "s", "S", "1"), "rescue.target"),
    **dict.fromkeys(("2", "3", "4"), "multi-user.target"),
    "5": "graphical.target",
}


@dataclasses.dataclass(frozen=True)
class SystemdWords:
    """What the command line asks systemd for."""

    target: str | None = None
    wants: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    keeps_devices: bool = False
    """Whether Live Update is on, with which devices stay bound across a kexec (liveupdate= in kernel-parameters.txt)."""

    @classmethod
    def of(cls, cmdline: Cmdline) -> SystemdWords:
        asked = target_of(cmdline)
        return cls(
            None if asked is None else asked[0],
            units_of_word(cmdline, "wants"),
            cmdline.values_for_systemd("systemd.run"),
            cmdline.values("liveupdate")[-1:] in (("on",), ("1",), ("y",), ("yes",), ("true",)),
        )


def target_of(cmdline: Cmdline, in_initrd: bool = False) -> tuple[str, str] | None:
    """The unit that systemd starts in place of default.target, and the word that asks for it; None if none does.

    As parse_proc_cmdline_item() in src/core/main.c: the last one counts, and a name without a suffix is ignored.
    """
    asked, prefix = None, "rd." if in_initrd else ""
    for name, value in cmdline.for_systemd:
        if value is None and name.startswith(prefix) and name[len(prefix) :] in _RUN_LEVELS:
            asked = _RUN_LEVELS[name[len(prefix) :]], name
        elif value is not None and normalize_module_name(name) == f"{prefix}systemd.unit" and with_suffix(value) == value:
            asked = value, f"{name}={value}"
    return asked


def units_of_word(cmdline: Cmdline, word: str, in_initrd: bool = False) -> tuple[str, ...]:
    """The units that `systemd.mask=` or `systemd.wants=` name; at an empty one systemd-debug-generator gives up."""
    prefix, found = "rd.systemd." if in_initrd else "systemd.", []
    for name, value in cmdline.for_systemd:
        if name in (f"{prefix}mask", f"{prefix}wants") and value is not None:
            if not value:
                break
            if name == f"{prefix}{word}":
                found.append(with_suffix(value))
    return tuple(found)


def with_suffix(unit: str) -> str:
    """The name of a unit, which is a service where it has no suffix."""
    return (
        unit if re.search(r"\.(?:service|socket|target|timer|path|mount|automount|swap|device|slice|scope)$", unit) else f"{unit}.service"
    )

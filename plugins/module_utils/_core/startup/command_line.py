# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the kernel's command line that decide what systemd starts (kernel-command-line(7), systemd(1))."""

from __future__ import annotations

import dataclasses
import re
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline

# rlmap in src/core/main.c.
_RUN_LEVELS = {
    **dict.fromkeys(("emergency", "-b"), "emergency.target"),
    **dict.fromkeys(("rescue", "single", "-s", "s", "S", "1"), "rescue.target"),
    **dict.fromkeys(("2", "3", "4"), "multi-user.target"),
    "5": "graphical.target",
}


@dataclasses.dataclass(frozen=True)
class Words:
    """What the command line asks systemd for."""

    target: str | None = None
    wants: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    keeps_devices: bool = False
    """Whether Live Update is on, with which devices stay bound across a kexec (liveupdate= in kernel-parameters.txt)."""

    @classmethod
    def of(cls, cmdline: Cmdline) -> Words:
        target = None
        for word in cmdline.arguments:
            if word in _RUN_LEVELS:
                target = _RUN_LEVELS[word]
        units = cmdline.values("systemd.unit")
        return cls(
            units[-1] if units else target,
            tuple(map(with_suffix, cmdline.values("systemd.wants"))),
            tuple(map(with_suffix, cmdline.values("systemd.mask"))),
            cmdline.values("systemd.run"),
            cmdline.values("liveupdate")[-1:] in (("on",), ("1",), ("y",), ("yes",), ("true",)),
        )


def with_suffix(unit: str) -> str:
    """The name of a unit, which is a service where it has no suffix."""
    return (
        unit if re.search(r"\.(?:service|socket|target|timer|path|mount|automount|swap|device|slice|scope)$", unit) else f"{unit}.service"
    )

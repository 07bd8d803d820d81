# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guards: each reason to leave a device with its driver, and whether a claim can ignore it."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, shown

REFUSE, IGNORE = "refuse", "ignore"


@dataclasses.dataclass(frozen=True)
class Guard:
    """``what`` it keeps, for the documentation; ``says`` begins the sentence about a function.

    Without ``optional`` no claim ignores it.
    """

    name: str
    what: str
    says: str
    optional: bool = False
    live: str = REFUSE
    next_boot: str = REFUSE


VITAL = "keeps this host running"
GUARDS: t.Final = (
    Guard("root", "the root file system and those of the system (`/usr`, `/var`, `/etc`), on a disk or a server", VITAL),
    Guard("boot", "`/boot` and the EFI partition, also as an automount", VITAL),
    Guard("swap", "swap in use", VITAL),
    Guard("route", "the interface of the default route", VITAL, next_boot="refuse, also what alone is to get it then"),
    Guard("connection", "the interface of this SSH connection", VITAL),
    Guard("console", "the display, serial console or keyboard of this host", "has the console of this host", optional=True),
    Guard(
        "data_mounts",
        "other mounted file systems, those that fstab and the like need at boot, and disks that the kernel has open",
        "has data of this host",
        optional=True,
    ),
    Guard(
        "in_use",
        "running guests, open device nodes, virtual functions and mediated devices, interfaces with an address",
        "is in use",
        optional=True,
    ),
    Guard("companions", "other cards, disks and interfaces in the IOMMU group of a claimed device", "is not claimed", optional=True),
    Guard(
        "identical",
        "a card with the same IDs, which could have the claimed address after a renumbering",
        "may be mistaken for another card",
        optional=True,
        live="-",
        next_boot="warn; refuse if the host needs that card",
    ),
)
BY_NAME: t.Final = {guard.name: guard for guard in GUARDS}
OPTIONAL: t.Final = tuple(guard.name for guard in GUARDS if guard.optional)
VITAL_GUARDS: t.Final = frozenset(guard.name for guard in GUARDS if not guard.optional)


def parse_guards(given: object, option: str) -> dict[str, str]:
    """What a claim does where a guard has a reason to refuse, by the guard's name.  Raises HostError, naming ``option``."""
    if given is None:
        return {}
    if not isinstance(given, t.Mapping):
        raise HostError(f"{option}: this is not a dictionary of guards.", f"Write for example {{{OPTIONAL[0]}: {IGNORE}}}.")
    for name in given:
        if name in VITAL_GUARDS:
            raise HostError(f"{option}: nothing overrides the guard {name}.", f"Those that can be ignored are {', '.join(OPTIONAL)}.")
        if name not in OPTIONAL:
            raise HostError(f"{option}: {shown(name)} is not a guard.", f"Those that can be ignored are {', '.join(OPTIONAL)}.")
        if given[name] not in (None, IGNORE):
            raise HostError(f"{option}.{name}: {shown(given[name])} is not allowed.", f"Allowed is {IGNORE}; without it the guard applies.")
    return {name: action for name, action in given.items() if action is not None}


def table() -> tuple[str, ...]:
    """The rows of the table in docs/guards.md."""
    return tuple(
        f"| {' | '.join((f'`{guard.name}`', guard.what, guard.live, guard.next_boot, 'yes' if guard.optional else 'no'))} |"
        for guard in GUARDS
    )

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""To whom a claim hands the device nodes of its devices, and how much memory that user may lock for a guest."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, shown

FIELDS = ("owner", "group", "mode", "memlock")
ROOT = "root"
OWNER_MODE, GROUP_MODE = 0o600, 0o660
MOST_MODE = 0o666
"""Nobody runs a device node."""
# udev and pam_limits read these words: no sign that means something to either of them.
ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,30}|0|[1-9][0-9]{0,9}")
NO_ACCOUNT = frozenset((0xFFFF, 0xFFFFFFFF))
MOST_NUMBER = 0xFFFFFFFF
"""The largest of a uid_t; those two stand for no account, for chown() and udev alike (uid_is_valid() in systemd)."""
SIZE = re.compile(r"([1-9][0-9]{0,11})([KMGT])")
KIB = {"K": 1, "M": 1 << 10, "G": 1 << 20, "T": 1 << 30}
UNLIMITED = "unlimited"


@dataclasses.dataclass(frozen=True)
class Node:
    """Who may open the VFIO nodes of a claim's devices.  ``memlock`` is a limit in KiB or `unlimited`; None leaves it alone."""

    owner: str = ROOT
    group: str = ROOT
    mode: int = OWNER_MODE
    memlock: str | None = None

    def __str__(self) -> str:
        return f"{self.owner}:{self.group} {self.mode:04o}"

    @property
    def limited(self) -> str:
        """Whose limit on locked memory is raised, as pam_limits names it: a number alone behind a colon, else it is taken for a name."""
        if self.owner != ROOT:
            return f":{self.owner}" if self.owner.isdigit() else self.owner
        return f"@:{self.group}" if self.group.isdigit() else f"@{self.group}"


def parse_node(given: object, option: str) -> Node | None:
    """A claim's `node`.  Raises HostError, naming ``option`` and what is allowed."""
    if given is None:
        return None
    if not isinstance(given, t.Mapping):
        raise HostError(f"{option}: this is not a dictionary.", f"It has {', '.join(FIELDS)}: {{owner: qemu, mode: '0600'}}.")
    fields = {str(name): value for name, value in given.items() if value is not None}
    unknown = sorted(set(fields) - set(FIELDS))
    if unknown:
        raise HostError(f"{option}: {shown(unknown[0])} is not a field of it.", f"It has {', '.join(FIELDS)}.")
    if not fields.keys() - {"memlock"}:
        raise HostError(f"{option}: it says neither whose the device nodes are nor their mode.", "Name an owner, a group, or a mode.")
    owner, group = (_account(fields.get(name), f"{option}.{name}") for name in ("owner", "group"))
    mode = _mode(fields.get("mode"), f"{option}.mode")
    node = Node(owner or ROOT, group or ROOT, (GROUP_MODE if group else OWNER_MODE) if mode is None else mode)
    memlock = _memlock(fields.get("memlock"), f"{option}.memlock")
    if memlock is not None and (node.owner, node.group) == (ROOT, ROOT):
        raise HostError(f"{option}.memlock: root has no limit on locked memory.", "Name the owner or the group that runs guests.")
    return dataclasses.replace(node, memlock=memlock)


def _account(given: object, option: str) -> str | None:
    name = str(given) if isinstance(given, int) and not isinstance(given, bool) else given
    if name is not None and not (isinstance(name, str) and ACCOUNT.fullmatch(name)):
        raise HostError(
            f"{option}: {shown(given)} is not the name of an account.",
            "Write up to 31 letters, digits, dots, dashes and underscores, or a number.",
        )
    if name is None or not name.isdigit():
        return name
    if int(name) > MOST_NUMBER or int(name) in NO_ACCOUNT:
        raise HostError(
            f"{option}: {name} is not the number of an account.",
            f"Allowed are 0 to {MOST_NUMBER - 1}, except {min(NO_ACCOUNT)}, which stands for none.",
        )
    return ROOT if int(name) == 0 else name


def _mode(given: object, option: str) -> int | None:
    if given is None:
        return None
    number = given if isinstance(given, int) and not isinstance(given, bool) else None
    if isinstance(given, str) and re.fullmatch(r"0?[0-7]{3}", given):
        number = int(given, 8)
    if number is None or number & ~MOST_MODE:
        raise HostError(
            f"{option}: {shown(given)} is not the mode of a device node.", "Write octal digits in quotes, from '0000' to '0666'."
        )
    return number


def _memlock(given: object, option: str) -> str | None:
    if given is None:
        return None
    if given == UNLIMITED:
        return UNLIMITED
    found = SIZE.fullmatch(given) if isinstance(given, str) else None
    if found is None:
        raise HostError(f"{option}: {shown(given)} is not a size.", f"Write {UNLIMITED}, or a number with K, M, G or T: 64G.")
    return str(int(found[1]) * KIB[found[2]])

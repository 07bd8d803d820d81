# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The users and groups of a host's own files, which are all that udev knows while a host boots."""

from __future__ import annotations

import dataclasses
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree

USERS, GROUPS = "/etc/passwd", "/etc/group"
SYSTEM_MOST = 999
"""The largest number of a system account (SYS_UID_MAX, SYS_GID_MAX)."""
REFUSING = range(258, 260)
"""Versions of systemd whose udev drops a line that hands a node to another account than a system's (v258 did so first, v260 no more)."""
MOST_DIGITS = 10


@dataclasses.dataclass(frozen=True)
class Accounts:
    """Numbers by name."""

    users: t.Mapping[str, int]
    groups: t.Mapping[str, int]

    @classmethod
    def read(cls, tree: FileTree) -> Accounts:
        return cls(_numbers(tree, USERS), _numbers(tree, GROUPS))

    def user(self, name: str) -> int | None:
        """The number of a user by its name, or of one that is given as a number; None if there is none."""
        return int(name) if _is_number(name) else self.users.get(name)

    def group(self, name: str) -> int | None:
        return int(name) if _is_number(name) else self.groups.get(name)

    def user_name(self, number: int) -> str:
        """The name of a user, or the number where it has none."""
        return _name(number, self.users)

    def group_name(self, number: int) -> str:
        return _name(number, self.groups)


def refused(number: int, systemd: int | None) -> bool | None:
    """Whether udev drops a line that hands a node to an account of that number; None if it may, as its version is not known."""
    if number <= SYSTEM_MOST:
        return False
    return None if systemd is None else systemd in REFUSING


def _name(number: int, known: t.Mapping[str, int]) -> str:
    return next((name for name, own in known.items() if own == number), str(number))


def _is_number(text: str) -> bool:
    """Whether it is a number, and not longer than any that a uid_t holds."""
    return text.isdecimal() and len(text) <= MOST_DIGITS


def _numbers(tree: FileTree, path: str) -> dict[str, int]:
    """The third field of each line by the first; the first of equal names counts, as for getpwnam().  root is everywhere."""
    found = {"root": 0}
    for line in (tree.text_or_none(path) or "").splitlines():
        fields = line.split(":")
        if len(fields) > 3 and _is_number(fields[2]):
            found.setdefault(fields[0], int(fields[2]))
    return found

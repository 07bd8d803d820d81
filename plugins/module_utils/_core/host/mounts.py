# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where file systems are mounted: proc_pid_mountinfo(5)."""

from __future__ import annotations

import os

MOUNTS = "/proc/self/mountinfo"


def types() -> dict[str, str]:
    """The type of what is mounted, by the place where it is; empty where that cannot be read."""
    found = {}
    try:
        with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                before, _dash, after = line.partition(" - ")
                fields = before.split()
                if len(fields) > 4 and after:
                    found[_unescaped(fields[4])] = after.split()[0]
    except OSError:
        return {}
    return found


def below(root: str) -> frozenset[str] | None:
    """The places below ``root`` at which another file system is mounted, as the host with that root calls them; None if unknown."""
    top = os.path.realpath(root).rstrip("/")
    known = types()
    return frozenset(place[len(top) :] for place in known if place.startswith(f"{top}/")) if known else None


def _unescaped(text: str) -> str:
    for escaped, sign in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(escaped, sign)
    return text

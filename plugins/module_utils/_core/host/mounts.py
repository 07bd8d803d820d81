# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is mounted where, by proc_pid_mountinfo(5): of this machine, and of a process of a host."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

MOUNTS, FSTAB = "/proc/self/mountinfo", "/etc/fstab"
MOST_ROWS = 20_000
LARGEST = 16 << 20
"""Bytes.  A host of thousands of containers has some megabytes: each layer of an overlay is named in its line."""
ESCAPE = re.compile(r"\\([0-7]{3})")


class MountedPlace(t.NamedTuple):
    """A line of proc_pid_mountinfo(5): the mount's ID, the number and kind of its file system, the folder of that which is at the place."""

    mount: str
    number: str
    folder: str
    place: str
    kind: str
    source: str
    options: tuple[str, ...]


def mounted(host: Host, process: str = "self", most: int = LARGEST) -> t.Iterator[MountedPlace]:
    """What a process has mounted, in order.  Raises HostError for a table of more bytes."""
    return _read(raw_lines(host, f"/proc/{process}/mountinfo", most))


def rows_of(host: Host, path: str) -> t.Iterator[tuple[int, list[str]]]:
    """The number and the fields of each line of a table such as fstab and crypttab, but for remarks and what has one field alone.

    Raises HostError for a table that is longer than any host's.
    """
    lines = raw_lines(host, path)
    if len(lines) > MOST_ROWS:
        raise HostError(f"{path} cannot be read: it has more than {MOST_ROWS} lines.")
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if len(fields) > 1 and not fields[0].startswith("#"):
            yield number, fields


def types() -> dict[str, str]:
    """The type of what this process has mounted, by the place where it is; empty where that cannot be read."""
    try:
        with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
            return {one.place: one.kind for one in _read(file.read(LARGEST).split("\n"))}
    except OSError:
        return {}


def below(root: str) -> frozenset[str] | None:
    """The places below ``root`` at which another file system is mounted, as the host with that root calls them; None if unknown."""
    top = os.path.realpath(root).rstrip("/")
    known = types()
    return frozenset(place[len(top) :] for place in known if place.startswith(f"{top}/")) if known else None


def raw_lines(host: Host, path: str, most: int = LARGEST) -> tuple[str, ...]:
    """None of what cannot be read.  Raises HostError for a longer file: what the host needs could be named at its end."""
    content = host.head(path, most + 1) or b""
    if len(content) > most:
        raise HostError(f"{path} cannot be read: it has more than {most >> 20} MiB.")
    return tuple(content.decode("utf-8", "surrogateescape").split("\n"))


def unescaped(text: str) -> str:
    """Without the octal escapes of mangle() in the kernel and of getmntent(3): a blank is `\\040`."""
    return ESCAPE.sub(lambda found: chr(int(found[1], 8)), text)


def _read(lines: t.Iterable[str]) -> t.Iterator[MountedPlace]:
    for line in lines:
        head, _dash, tail = line.partition(" - ")
        fields, rest = head.split(), tail.split(" ")
        if len(fields) > 5 and len(rest) > 1:
            options = tuple(unescaped(option) for option in rest[2].split(",")) if len(rest) > 2 else ()
            yield MountedPlace(fields[0], fields[2], unescaped(fields[3]), unescaped(fields[4]), rest[0], unescaped(rest[1]), options)

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roots that keep no changes, or none that a boot loader reads: live systems, overlays, roots in memory, images that are only read."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.links import end_of_links

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

MOUNTINFO, CMDLINE = "/proc/self/mountinfo", "/proc/cmdline"
LARGEST = 4 << 20
MEMORY = ("tmpfs", "ramfs", "rootfs")
OVERLAYS = ("overlay", "aufs", "unionfs")
IMAGES = ("squashfs", "erofs", "iso9660", "cramfs", "romfs")
PLACES = ("/", "/usr")
"""Where an image that is only read keeps a policy, an initramfs or drivers away."""
UPPER = re.compile(r"(?:^|,)upperdir=((?:[^,\\]|\\.)*)")
IMAGE = "build them into the image that it starts from, or install it on a disk"
WORDS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"overlayroot=(?!disabled|$).*"), "boot once with `overlayroot=disabled`, and do it then"),
    (re.compile(r"boot=overlay"), "switch the overlay off with `raspi-config nonint disable_overlayfs`, boot, and do it then"),
    (re.compile(r"systemd\.volatile=(?!no$|state$|0$|false$|off$).+"), "boot once without `systemd.volatile=`, and do it then"),
    (re.compile(r"boot=(?:casper|live)|root=live:.+|rd\.live\.image|rd\.overlay.*|(?:arch|m)isobasedir=.+|pmedia=.+|psubdir=.+"), IMAGE),
)
"""Words by which a root is laid over another: of Ubuntu's overlayroot, Raspberry Pi OS, systemd, live systems."""


class LostChanges(t.NamedTuple):
    """Why changes are lost, and what helps."""

    evidence: str
    way: str


class _Mount(t.NamedTuple):
    place: str
    kind: str
    options: str


def lost_changes(host: Host) -> LostChanges | None:
    """None where changes of the root and of /usr stay, or where that cannot be determined, as in a container."""
    mounted = {one.place: one for one in _mounts(host)}
    root = mounted.get("/")
    if root is None:
        return None
    if root.kind in MEMORY:
        return LostChanges(f"/ is in memory, {root.kind}", IMAGE)
    if root.kind in OVERLAYS:
        words = (host.text_or_none(CMDLINE) or "").split()
        found = next(((word, way) for pattern, way in WORDS for word in words if pattern.fullmatch(word)), None)
        if found is not None:
            return LostChanges(f"/ is {root.kind}, {found[0]}", found[1])
        upper = UPPER.search(root.options)
        if upper is not None and _kind_of(host, upper[1], mounted) in MEMORY:
            return LostChanges(f"/ is {root.kind}, whose upperdir={upper[1]} is in memory", IMAGE)
    image = next((mounted[place] for place in PLACES if place in mounted and mounted[place].kind in IMAGES), None)
    return None if image is None else LostChanges(f"{image.place} is only read, {image.kind}", "build them into that image")


def _kind_of(host: Host, path: str, mounted: t.Mapping[str, _Mount]) -> str | None:
    """Of the file system that a folder is in; None if that is not mounted where it can be seen, as behind a root of the initramfs."""
    end = end_of_links(path, host.link)
    inside = [place for place in mounted if place != "/" and (end == place or end.startswith(f"{place}/"))]
    return mounted[max(inside, key=len)].kind if inside else None


def _mounts(host: Host) -> t.Iterator[_Mount]:
    text = (host.head(MOUNTINFO, LARGEST) or b"").decode("utf-8", "surrogateescape")
    for line in text.splitlines():
        before, _dash, after = line.partition(" - ")
        fields, rest = before.split(), after.split(" ")
        if len(fields) > 4 and len(rest) > 1:
            yield _Mount(fields[4], rest[0], rest[2] if len(rest) > 2 else "")

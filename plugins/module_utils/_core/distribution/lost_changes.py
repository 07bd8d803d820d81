# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roots that keep no changes, or none that a boot loader reads: live systems, overlays, roots in memory, images that are only read."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.links import end_of_links
from ansible_collections.vfio.variants.plugins.module_utils._core.host.mounts import mounted

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.mounts import MountedPlace

CMDLINE = "/proc/cmdline"
MEMORY = ("tmpfs", "ramfs", "rootfs")
OVERLAYS = ("overlay", "aufs", "unionfs")
IMAGES = ("squashfs", "erofs", "iso9660", "cramfs", "romfs")
PLACES = ("/", "/usr")
"""Where an image that is only read keeps a policy, an initramfs or drivers away."""
UPPER = "upperdir="
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


def lost_changes(host: Host) -> LostChanges | None:
    """None where changes of the root and of /usr stay, or where that cannot be determined, as in a container."""
    places = {one.place: one for one in mounted(host)}
    root = places.get("/")
    if root is None:
        return None
    if root.kind in MEMORY:
        return LostChanges(f"/ is in memory, {root.kind}", IMAGE)
    if root.kind in OVERLAYS:
        words = (host.text_or_none(CMDLINE) or "").split()
        found = next(((word, way) for pattern, way in WORDS for word in words if pattern.fullmatch(word)), None)
        if found is not None:
            return LostChanges(f"/ is {root.kind}, {found[0]}", found[1])
        upper = next((option[len(UPPER) :] for option in root.options if option.startswith(UPPER)), None)
        if upper is not None and _kind_of(host, upper, places) in MEMORY:
            return LostChanges(f"/ is {root.kind}, whose upperdir={upper} is in memory", IMAGE)
    image = next((places[place] for place in PLACES if place in places and places[place].kind in IMAGES), None)
    return None if image is None else LostChanges(f"{image.place} is only read, {image.kind}", "build them into that image")


def _kind_of(host: Host, path: str, places: t.Mapping[str, MountedPlace]) -> str | None:
    """Of the file system that a folder is in; None if that is not mounted where it can be seen, as behind a root of the initramfs."""
    end = end_of_links(path, host.link)
    inside = [place for place in places if place != "/" and (end == place or end.startswith(f"{place}/"))]
    return places[max(inside, key=len)].kind if inside else None

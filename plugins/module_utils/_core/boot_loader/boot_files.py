# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files by the names that a boot loader uses: relative to the partition or subvolume that they are on."""

from __future__ import annotations

import functools
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import names_if_any

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host


DEVICE = re.compile(r"^\([^)]*\)")
# A subvolume of btrfs as Ubuntu and openSUSE name it (`/@/boot`, `/@/.snapshots/1/snapshot/boot`), a data set of ZFS
# (`/ROOT/debian@/boot`).
SUBVOLUME = re.compile(r"^/(?:[^@]*@/\.snapshots/\d+/snapshot|[^@]*@[^/]*)(?=/)")
LONGEST = 1024 * 1024
PARTITIONS = ("/efi", "/boot/efi", "/boot")
"""Mount points of the EFI system partition and of the extended boot loader partition."""
UNIFIED_IMAGES = "EFI/Linux"
"""Where unified kernel images are on them."""


def partition_of(place: str, among: t.Container[str] = PARTITIONS) -> str:
    """Where the partition of a file is mounted; empty if it is on none of these."""
    return next((one for one in PARTITIONS if one in among and place.startswith(f"{one}/")), "")


class BootFiles:
    """A host's files, looked up by the loader's names."""

    def __init__(self, host: Host) -> None:
        self.host = host

    @functools.cached_property
    def partitions(self) -> tuple[str, ...]:
        """Where the partitions are mounted that the loader of the next boot may read."""
        from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.partitions import read_at_boot

        return read_at_boot(self.host, PARTITIONS)

    @functools.cached_property
    def mounts(self) -> frozenset[str]:
        """Those of PARTITIONS that are partitions of their own; all of a host that is not running, of which that is not known."""
        from ansible_collections.vfio.variants.plugins.module_utils._core.host.mounts import mounted

        known = frozenset(one.place for one in mounted(self.host))
        return known & frozenset(PARTITIONS) if known else frozenset(PARTITIONS)

    def find(self, path: str) -> str | None:
        """The host's path of the file that the loader calls ``path``; None if there is no such file."""
        return next((place for place in candidates(path) if self.host.is_file(place)), None)

    def find_any(self, path: str) -> str | None:
        """Like `find`, for directories as well."""
        return next((place for place in candidates(path) if self.host.exists(place)), None)

    def text(self, place: str) -> str | None:
        """The text of a file, by the host's path; None if it cannot be read, or is too long to be a configuration."""
        if not self.host.is_file(place):
            return None
        try:
            return self.host.read_bytes(place, LONGEST).decode("utf-8", "surrogateescape")
        except HostError:
            return None

    def find_on(self, partition: str, path: str) -> str | None:
        """The host's path of a file that firmware calls ``path`` (`\\EFI\\Linux\\x.efi`), in any case: FAT knows no case."""
        place = partition.rstrip("/")
        for part in path.replace("\\", "/").split("/"):
            if part in ("", "."):
                continue
            step = f"{place}/{part}"
            if not self.host.exists(step):
                alike = (name for name in self.names(place or "/") if name.lower() == part.lower())
                step = next((f"{place}/{name}" for name in alike), "")
            if not step or part == "..":
                return None
            place = step
        return place if self.host.is_file(place) else None

    def names(self, place: str) -> tuple[str, ...]:
        """The names in a directory; empty if it cannot be listed."""
        return names_if_any(self.host, place)


def candidates(path: str) -> tuple[str, ...]:
    """The host's paths that ``path`` may mean, likeliest first: as it is if it begins with /boot or /efi, else below /boot.

    The EFI system partition comes last: a loader that reads it alone has its kernels there.
    """
    bare = "/" + DEVICE.sub("", path).lstrip("/")
    inside = SUBVOLUME.sub("", bare)
    found: list[str] = []
    for name in dict.fromkeys((bare, inside)):
        below = (f"/boot{name}", name, f"/boot/efi{name}", f"/efi{name}")
        found += (name, f"/boot{name}") if name.startswith(("/boot/", "/efi/")) else below
    return tuple(dict.fromkeys(found))

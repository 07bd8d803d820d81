# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host mounts, swaps to and unlocks: now, by mountinfo and /proc/swaps, and at boot, by its configuration."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import first_of_name, names_if_any
from ansible_collections.vfio.variants.plugins.module_utils._core.host.mounts import FSTAB, mounted, raw_lines, rows_of, unescaped
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_dumps import crash_targets, hibernation_disks, message_targets
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_keys import KEY

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

SWAPS, CRYPTTAB = "/proc/swaps", "/etc/crypttab"
EARLY_CRYPTTAB = "/etc/crypttab.initramfs"
"""What mkinitcpio puts into the image as crypttab (its hook sd-encrypt)."""
CHECKED = {"/etc/veritytab": 3, "/etc/integritytab": 2}
"""By table, how many columns there are up to the last with a disk."""
UNITS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
)
"""Of the units of a name the one in the first of these counts (systemd.unit(5))."""
UNIT_LINE = re.compile(r"^[ \t]*(What|Where|Type|Options)[ \t]*=[ \t]*(.*)$", re.MULTILINE)
POOLS = "/proc/spl/kstat/zfs"
"""One folder for each imported pool of ZFS (spa_stats_init() in OpenZFS)."""
PROXMOX_ESPS = "/etc/kernel/proxmox-boot-uuids"
NO_MAPS = ("systemd-1", "-hosts", "")
"""What automounts have for a source that are not by a map of autofs(5) with what the host needs."""
SWAP = "swap"
ROOT_PLACES = frozenset(("/", "/usr", "/var", "/etc", "/lib", "/nix", "/nix/store", "/gnu/store", "/sysroot", "/ostree"))
BOOT_PLACES = frozenset(("/efi", "/esp", "/bootefi"))

_EARLY = frozenset(("x-initrd.attach", "initramfs"))
"""Options of what the initramfs unlocks."""
# A file on a disk that is not mounted: crypttab(5) of systemd `/path:device`, of Debian `device:/path`.
# The names in by-path have colons, and so may have those in by-id.
_ON_A_DISK = re.compile(r"(?:/[^:]*:)?(/dev/disk/by-(?:(?!:/|:\d+$)\S)+|(?:/dev/|UUID=|LABEL=|PARTUUID=|PARTLABEL=|ID=)[^:]*)")
_NO_DISKS = ("/dev/urandom", "/dev/random", "/dev/hw_random", "/dev/zero", "/dev/null", "/dev/tty", "/dev/console")

MountGuard = t.Literal["root", "boot", "swap", "data_mounts"]


@dataclasses.dataclass(frozen=True)
class MountUse:
    """Something that needs a disk or a server.

    ``what`` is a clause about it without its end: "/dev/sda1 is mounted at /home".  ``number`` is its `major:minor`, ``source`` as it is
    written, ``place`` the mount point.
    """

    what: str
    guard: MountGuard
    source: str
    kind: str = ""
    options: tuple[str, ...] = ()
    number: str | None = None
    place: str = ""
    is_mounted: bool = False

    def option(self, name: str) -> str | None:
        return next((option[len(name) + 1 :] for option in self.options if option.startswith(f"{name}=")), None)


def guard_of(place: str) -> MountGuard:
    if place in ROOT_PLACES:
        return "root"
    if place == SWAP:
        return "swap"
    return "boot" if place in BOOT_PLACES or place == "/boot" or place.startswith("/boot/") else "data_mounts"


def read_entries(
    host: Host, roots: t.Sequence[tuple[str, str, str]] = (), partitions: t.Sequence[tuple[str, str]] = ()
) -> tuple[MountUse, ...]:
    """Everything that is in use or is needed at boot.

    ``roots`` are where a kernel's arguments name a disk, its name and for what place (or "swap") that is; ``partitions`` are pairs of a
    boot option and its partition.
    """
    mounted, at_boot = tuple(mounts(host)), tuple(_fstab(host))
    found = (
        *mounted,
        *_swaps(host),
        *at_boot,
        *_units(host),
        *_crypttab(host, CRYPTTAB, {entry.source for entry in (*mounted, *at_boot) if entry.guard in ("root", "boot")}),
        *_crypttab(host, EARLY_CRYPTTAB, None),
        *_checked_disks(host),
        *(
            MountUse(f"the kernel of a crash writes to {found.source} ({found.where})", "data_mounts", found.source, found.kind)
            for found in crash_targets(host)
        ),
        *(
            MountUse(f"the kernel writes its last messages of a crash to {source} ({where})", "data_mounts", source)
            for source, where in message_targets(host)
        ),
        *(MountUse(f"hibernation writes to {disk} ({where})", "swap", disk) for disk, where in hibernation_disks(host)),
        *(MountUse(f"{source} is named by {where}", guard_of(place), source) for where, source, place in roots),
        *(MountUse(f"the firmware has started this host from {source} ({option})", "boot", source) for option, source in partitions),
        *(
            MountUse(f"the pool {pool} is imported", "data_mounts", pool, "zfs")
            for pool in names_if_any(host, POOLS)
            if host.is_dir(f"{POOLS}/{pool}")
        ),
        *(MountUse(f"UUID={uuid} is an EFI partition of {PROXMOX_ESPS}", "boot", f"UUID={uuid}") for uuid in _lines(host, PROXMOX_ESPS)),
    )
    return tuple(dict.fromkeys(found))


def mounts(host: Host) -> t.Iterator[MountUse]:
    for _mount, number, _folder, place, kind, source, options in mounted(host):
        if kind != "autofs":
            # An automount that is idle has no source; what it will mount is in fstab or in a unit.
            yield MountUse(f"{source} is mounted at {place}", guard_of(place), source, kind, options, number, place, is_mounted=True)
        elif guard_of(place) != "data_mounts":
            yield MountUse(f"{place} is mounted when it is accessed", guard_of(place), "", kind, options, None, place)
        elif source not in NO_MAPS:
            yield MountUse(f"{place} is mounted when it is accessed ({source})", "data_mounts", source, kind, options, None, place)


def _swaps(host: Host) -> t.Iterator[MountUse]:
    for line in _lines(host, SWAPS)[1:]:
        fields = line.split()
        if fields:
            yield MountUse(f"{unescaped(fields[0])} is in use as swap", "swap", unescaped(fields[0]))


def _fstab(host: Host) -> t.Iterator[MountUse]:
    for number, fields in rows_of(host, FSTAB):
        source, place = unescaped(fields[0]), unescaped(fields[1])
        kind, options = (fields[2] if len(fields) > 2 else ""), tuple(fields[3].split(",")) if len(fields) > 3 else ()
        is_swap = kind == "swap" or place in ("none", "swap")
        guard: MountGuard = "data_mounts" if is_swap else guard_of(place)
        at_boot = "noauto" not in options or "x-systemd.automount" in options
        # A boot partition that is only mounted for updates is no less needed.
        if guard in ("root", "boot") or (at_boot and "nofail" not in options):
            use = "for swap" if is_swap else f"for {place}"
            yield MountUse(
                f"{source} is needed at boot {use} ({FSTAB}:{number})", guard, source, kind, options, None, "" if is_swap else place
            )


def _units(host: Host) -> t.Iterator[MountUse]:
    """Units that mount or swap, also those that generators have made; those of fstab are known from there."""
    for ending in (".mount", ".swap"):
        for name, path in first_of_name(host, UNITS, ending).items():
            drop_ins = first_of_name(host, [f"{folder}/{name}.d" for folder in UNITS], ".conf")
            paths = (path, *(drop_ins[one] for one in sorted(drop_ins)))
            text = "\n".join(line for one in paths for line in raw_lines(host, one))
            found = dict(UNIT_LINE.findall(text))
            source, place = found.get("What", "").strip(), found.get("Where", "").strip()
            kind, options = found.get("Type", "").strip(), tuple(found.get("Options", "").strip().split(","))
            guard = guard_of(place) if place else "data_mounts"
            if source and f"SourcePath={FSTAB}" not in text and ("nofail" not in options or guard != "data_mounts"):
                yield MountUse(f"{source} is needed for {place or 'swap'} ({path})", guard, source, kind, options, None, place)


def _crypttab(host: Host, path: str, needed: t.Collection[str] | None) -> t.Iterator[MountUse]:
    """What is unlocked at boot, and the disks with the keys and headers for that; ``needed`` are disks of the system, None if all are."""
    for number, fields in rows_of(host, path):
        options = fields[3].split(",") if len(fields) > 3 else []
        if {"nofail", "noauto"}.intersection(options):
            continue
        where = f"({path}:{number})"
        yield MountUse(f"{fields[1]} is unlocked at boot {where}", "root" if needed is None else "data_mounts", fields[1])
        is_needed = needed is None or f"/dev/mapper/{unescaped(fields[0])}" in needed or bool(_EARLY.intersection(options))
        guard: MountGuard = "root" if is_needed else "data_mounts"
        files = [fields[2] if len(fields) > 2 else "", *(option[len("header=") :] for option in options if option.startswith("header="))]
        for file in map(unescaped, files):
            on_disk = _ON_A_DISK.match(file)
            if on_disk is not None and on_disk[1] not in _NO_DISKS:
                yield MountUse(f"{on_disk[1]} is needed to unlock {fields[0]} at boot {where}", guard, on_disk[1])
        for option in options:
            if KEY.fullmatch(option):
                yield MountUse(f"{option} is needed to unlock {fields[0]} at boot {where}", guard, option)


def _checked_disks(host: Host) -> t.Iterator[MountUse]:
    """Disks that are checked as they are read, and those with the sums for that (veritytab(5), integritytab(5))."""
    for table, columns in CHECKED.items():
        for number, fields in rows_of(host, table):
            options = fields[columns + 1].split(",") if len(fields) > columns + 1 else []
            if {"nofail", "noauto"}.intersection(options):
                continue
            guard: MountGuard = "root" if fields[0] in ("root", "usr") or _EARLY.intersection(options) else "data_mounts"
            for disk in map(unescaped, fields[1:columns]):
                yield MountUse(f"{disk} is needed for {fields[0]} at boot ({table}:{number})", guard, disk)


def _lines(host: Host, path: str) -> tuple[str, ...]:
    return tuple(line for line in raw_lines(host, path) if line.strip())

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disks a kernel's command line names: the root and the like, and those that unlock it."""

from __future__ import annotations

import re
import typing as t
import uuid

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import name_and_value

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline

SWAP = "swap"
_WHOLE = {"root": "/", "resume": SWAP, "mount.usr": "/usr", "usr": "/usr", "boot": "/boot"} | {
    f"systemd.verity_{what}_{part}": place for what, place in (("root", "/"), ("usr", "/usr")) for part in ("data", "hash")
}
"""For what the disk is that each word names: the place where it is mounted, or swap.  dracut checks a kernel in /boot (fips=1)."""
# dracut.cmdline(7), systemd-cryptsetup-generator(8), and mkinitcpio's hook encrypt.
_OPTIONS = ("rd.luks.options", "luks.options")
_FOR_ROOT = (
    "cryptdevice",
    "cryptkey",
    "rd.luks.key",
    "luks.key",
    "rd.luks.data",
    "luks.data",
    "rootflags",
    "md",
    "dm-mod.create",
    "overlayroot",
    "live-media",
    "rd.live.overlay",
    "rd.overlay",
    *_OPTIONS,
)
"""Besides: mount options of the root, md.rst, dm-init.rst, overlayroot of Debian's cloud images, live-boot(7)."""
_MOUNTS = ("rd.systemd.mount-extra", "systemd.mount-extra")
_SWAPS = ("rd.systemd.swap-extra", "systemd.swap-extra")
_ENCRYPTED = ("rd.luks.uuid", "luks.uuid", "rd.luks.name", "luks.name")
"""Their values begin with the UUID of an encrypted disk, with or without `luks-`."""
_DISK = re.compile(r"(?:(?<![^:=,\s])(?:UUID|LABEL|PARTUUID|PARTLABEL)=|/dev/)[^:,\s]+")
_LIVE = re.compile(r"live:(?:CD(?=LABEL=))?((?:UUID|LABEL|PARTUUID|PARTLABEL)=.+|/dev/.+)")
"""A root of dracut's on a medium; its older name for a label is CDLABEL."""
_IN_FLASH = re.compile(r"ubi\d*[:_!].+|mtd(?:\d+|:.+)")
_SURELY_DISK = re.compile(
    r"(?<![^:=,\s])(?:(?:(?:UUID|LABEL|PARTUUID|PARTLABEL)=|/dev/(?:disk/by-|mapper/|nvme\d|xvd|mmcblk|md|dm-|pmem|bcache))[^:,\s]+"
    r"|/dev/(?:[shv]d[a-z]|sr\d)[^:,\s]*)"
)
"""In a word that is not known: nothing else that has a node."""
_KEY = re.compile(r"(?:tpm2-device|fido2-device|pkcs11-uri)=[^,\s]+")
_STARTS = ("/dev/", "UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "ZFS=")
_FOLDERS = ("virtiofs", "9p")
"""Kinds of shared folders of a hypervisor, which have a tag in place of a disk (dracut.cmdline(7), init/do_mounts.c)."""
_SUM = re.compile(r"([0-9a-f]{32})(?:[0-9a-f]{2})*?([0-9a-f]{32})", re.IGNORECASE)
"""The sum of a disk's sums: its first 128 bits are the ID of the data's partition, its last that of the sums' (kernel-command-line(7))."""
_SUMS = {"roothash": "/", "usrhash": "/usr"}
_ID_OF_ARRAY = re.compile("[0-9a-fA-F]{32}")
_LABELS = ("archisolabel", "misolabel", "cow_label")
"""Labels of the medium of a live system, as archiso's hooks and those after them read them."""
_POOLS = re.compile(r"(?:zfs[:=])?(?P<any>auto|bootfs|zfs)|zfs[:=](?P<set>.+)", re.IGNORECASE)
"""Data sets as zfs-dracut(7), zfs-initramfs(7) and the hook of Arch name them; the first of the pools that there are."""
_NUMBER = re.compile(r"(?P<major>[0-9]{1,9}):(?P<minor>[0-9]{1,9})(?::[0-9]+)?|(?:0x)?(?P<both>[0-9a-f]{3,8})", re.IGNORECASE)
_NO_DISKS = ("/dev/nfs", "/dev/ram0")


class NamedDisk(t.NamedTuple):
    """A word, and the disk or key that it names, as it names it, as a tag or as `major:minor`.

    ``place`` is where it is mounted, or `SWAP`; empty if that is not known.
    """

    word: str
    disk: str
    place: str


def named_disks(cmdline: Cmdline) -> t.Iterator[NamedDisk]:
    """What the words name, in no order."""
    for word, place in _WHOLE.items():
        for value in cmdline.values(word):
            disk = _as_number(value) if word in ("root", "resume") else None
            disk = disk or (_other_root(value, cmdline) if word == "root" else None)
            if disk or (value.startswith(_STARTS) and value not in _NO_DISKS):
                yield NamedDisk(word, disk or value, place)
    for word in _OPTIONS:
        yield from (NamedDisk(word, found, "/") for value in cmdline.values(word) for found in _KEY.findall(value))
    for word in _FOR_ROOT:
        yield from (NamedDisk(word, found, "/") for value in cmdline.values(word) for found in _DISK.findall(value))
    yield from _extra(cmdline)
    yield from _others(cmdline)
    yield from _derived(cmdline)
    for word in _ENCRYPTED:
        values = (value.partition("=")[0] for value in cmdline.values(word))
        yield from (
            NamedDisk(word, f"UUID={value[len('luks-') :] if value.startswith('luks-') else value}", "/") for value in values if value
        )


def _other_root(value: str, cmdline: Cmdline) -> str | None:
    """A root that is neither a node nor a tag: in flash memory, on a live system's medium, in a pool, a hypervisor's folder."""
    if value.startswith("block:"):
        return value[len("block:") :]
    pool = _POOLS.fullmatch(value)
    if pool is not None:
        return f"ZFS={pool['set'] or 'AUTO'}"
    if _IN_FLASH.fullmatch(value) or value.partition(":")[0] in _FOLDERS:
        return value
    kind = next((kind for kind in cmdline.values("rootfstype") if kind in _FOLDERS), None)
    if kind is not None and not value.startswith("/dev/"):
        return f"{kind}:{value}"
    live = _LIVE.fullmatch(value)
    return None if live is None else live[1]


def _derived(cmdline: Cmdline) -> t.Iterator[NamedDisk]:
    """Disks that a word names by something else than a node or a tag: by sums, volumes, arrays, labels, pools."""
    for word, place in _SUMS.items():
        if any(cmdline.values(f"systemd.verity_{'root' if place == '/' else 'usr'}_{part}") for part in ("data", "hash")):
            continue
        found = (_SUM.fullmatch(value) for value in cmdline.values(word))
        yield from (NamedDisk(word, f"PARTUUID={uuid.UUID(part)}", place) for one in found if one is not None for part in one.groups())
    for value in cmdline.values("rd.lvm.lv"):
        group, _slash, volume = value.partition("/")
        if volume:
            # As device mapper escapes the names.
            yield NamedDisk("rd.lvm.lv", f"/dev/mapper/{group.replace('-', '--')}-{volume.replace('-', '--')}", "/")
    for value in cmdline.values("rd.md.uuid"):
        digits = value.replace(":", "").replace("-", "")
        if _ID_OF_ARRAY.fullmatch(digits):
            yield NamedDisk("rd.md.uuid", f"UUID={uuid.UUID(digits)}", "/")
    for word in _LABELS:
        yield from (NamedDisk(word, f"LABEL={value}", "/") for value in cmdline.values(word) if value)
    for value in cmdline.values("zfs"):
        pool = _POOLS.fullmatch(f"zfs={value}")
        if pool is not None:
            yield NamedDisk("zfs", f"ZFS={pool['set'] or 'AUTO'}", "/")


def _others(cmdline: Cmdline) -> t.Iterator[NamedDisk]:
    """Disks in words that are not known, such as options of modules: somebody who writes one there has a use for it."""
    known = {normalize_module_name(word) for word in (*_WHOLE, *_FOR_ROOT, *_MOUNTS, *_SWAPS, *_ENCRYPTED)}
    for word, value in map(name_and_value, cmdline.arguments):
        if value is not None and normalize_module_name(word) not in known:
            yield from (NamedDisk(word, found, "") for found in _SURELY_DISK.findall(value))


def _as_number(value: str) -> str | None:
    """`major:minor` of a disk that is named by its number, as early_lookup_bdev() in block/early-lookup.c reads it."""
    found = _NUMBER.fullmatch(value)
    if found is None:
        return None
    if found["both"] is None:
        return f"{int(found['major'])}:{int(found['minor'])}"
    number = int(found["both"], 16)
    # new_decode_dev() in include/linux/kdev_t.h.
    return f"{(number & 0xFFF00) >> 8}:{(number & 0xFF) | ((number >> 12) & 0xFFF00)}"


def _extra(cmdline: Cmdline) -> t.Iterator[NamedDisk]:
    """Mounts and swap that systemd-fstab-generator(8) is told: WHAT:WHERE[:FSTYPE[:OPTIONS]], and WHAT[:OPTIONS]."""
    for word in (*_MOUNTS, *_SWAPS):
        for value in cmdline.values(word):
            disk = _DISK.match(value)
            rest = value[disk.end() :].lstrip(":").split(":") if disk is not None else []
            options = rest[2 if word in _MOUNTS else 0 :]
            if disk is not None and not {"nofail", "noauto"}.intersection(option for one in options for option in one.split(",")):
                yield NamedDisk(word, disk[0], rest[0] if word in _MOUNTS else SWAP)

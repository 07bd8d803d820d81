# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disks a kernel's command line names: the root and the like, and those that unlock it."""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline

_WHOLE = ("root", "resume", "mount.usr", "usr")
# dracut.cmdline(7), systemd-cryptsetup-generator(8), systemd-fstab-generator(8), and mkinitcpio's hook encrypt.
_AMONG_OTHERS = (
    "cryptdevice",
    "cryptkey",
    "rd.luks.key",
    "luks.key",
    "rd.luks.data",
    "luks.data",
    "rd.luks.options",
    "luks.options",
    "rd.systemd.mount-extra",
    "systemd.mount-extra",
)
_ENCRYPTED = ("rd.luks.uuid", "luks.uuid", "rd.luks.name", "luks.name")
"""Their values begin with the UUID of an encrypted disk, with or without `luks-`."""
_DISK = re.compile(r"(?:(?<![^:=,])(?:UUID|LABEL|PARTUUID|PARTLABEL)=|/dev/)[^:,\s]+")
_STARTS = ("/dev/", "UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "ZFS=")
_NO_DISKS = ("/dev/nfs", "/dev/ram0")


def named_disks(cmdline: Cmdline) -> t.Iterator[tuple[str, str]]:
    """Each word with a disk that it names, as it names it or as a tag."""
    for word in _WHOLE:
        yield from ((word, value) for value in cmdline.values(word) if value.startswith(_STARTS) and value not in _NO_DISKS)
    for word in _AMONG_OTHERS:
        yield from ((word, found) for value in cmdline.values(word) for found in _DISK.findall(value))
    for word in _ENCRYPTED:
        values = (value.partition("=")[0] for value in cmdline.values(word))
        yield from ((word, f"UUID={value[len('luks-') :] if value.startswith('luks-') else value}") for value in values if value)

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs' texts that may decide who gets a device: what in them cannot be told is a doubt that names file and line."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel

# Attributes of sysfs by which a driver gets or loses a device, and the programs that write them.
WRITES = re.compile(
    r"driver_override|drivers_probe|drivers_autoprobe|/(?:new_id|remove_id|(?:un)?bind)(?![\w-])|sriov_numvfs|\bdriverctl\b[^\n]*\bset-override\b"
)
LOADS = re.compile(r"\b(?:modprobe|insmod|rmmod)\b([^\n;|&>]*)")
WORD = re.compile(r"[A-Za-z0-9_$][^\s\"']*")
# Scripts that come with distributions and load what they find out while they run: file systems, disks and consoles.
KNOWN = frozenset(
    "all_generic_ide blacklist btrfs console_setup cryptopensc cryptroot cryptroot-prepare fixrtc fsck iscsi keymap lvm2 mdadm multipath"
    " nfs ntfs_3g plymouth resume thermal udev zfs".split()
)


def doubt(text: str, shown: str, kernel: Kernel, known: bool = False) -> str | None:
    """Why a script's effect on drivers cannot be told, None where it has none.  ``kernel`` is what it loads from."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith("#"):
            continue
        written = WRITES.search(line)
        if written is not None:
            return f"{shown}:{number} writes to {written[0].lstrip('/')}; with which effect cannot be told."
        for words in LOADS.findall(line):
            module = _matters(words, kernel, known)
            if module is not None:
                return f"{shown}:{number} loads or removes {module}; when and whether cannot be told."
    return None


def _matters(words: str, kernel: Kernel, known: bool) -> str | None:
    """The word that may stand for a PCI driver."""
    for word in (match[0] for match in WORD.finditer(words)):
        if "$" in word:
            if not known:
                return word
            continue
        name = normalize_module_name(word.rpartition("/")[2].partition(".ko")[0])
        drivers = {name, *kernel.dependencies(name)} if name in kernel.modules else set()
        if drivers & (kernel.index.modules("pci") | kernel.index.modules("vfio_pci")):
            return name
    return None

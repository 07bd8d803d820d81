# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripts that may affect which driver a device is bound to: what cannot be determined is a doubt that names file and line."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel

# sysfs attributes that bind or unbind a device, and the programs that write to them.
WRITES = re.compile(
    r"driver_override|drivers_probe|drivers_autoprobe|/(?:new_id|remove_id|(?:un)?bind)(?![\w-])|sriov_numvfs|\bdriverctl\b[^\n]*\bset-override\b"
)
LOADS = re.compile(r"\b(?:modprobe|insmod|rmmod)\b([^\n;|&>]*)")
WORD = re.compile(r"[A-Za-z0-9_$][^\s\"']*")
# Scripts of distributions whose modules depend on what they find while they run: for file systems, disks and consoles.
KNOWN = frozenset(
    "all_generic_ide blacklist btrfs console_setup cryptopensc cryptroot cryptroot-prepare fixrtc fsck iscsi keymap lvm2 mdadm multipath"
    " nfs ntfs_3g plymouth resume thermal udev zfs".split()
)


def doubt(text: str, shown: str, kernel: Kernel, known: bool = False) -> str | None:
    """Why a script's effect on drivers cannot be determined; None if it has none.  ``kernel`` has the modules that it can load."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith("#"):
            continue
        written = WRITES.search(line)
        if written is not None:
            return f"{shown}:{number} writes to {written[0].lstrip('/')}; the effect cannot be determined."
        for words in LOADS.findall(line):
            module = _matters(words, kernel, known)
            if module is not None:
                return f"{shown}:{number} loads or removes {module}; whether and when cannot be determined."
    return None


def _matters(words: str, kernel: Kernel, known: bool) -> str | None:
    """The word that may be the module of a PCI driver; None if there is none."""
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

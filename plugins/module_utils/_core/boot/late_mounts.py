# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""File systems that are mounted over what udev, kmod and systemd read while they load drivers: what they see then is not what is seen now.

The root and /usr are mounted before that, by the initramfs; all others of fstab beside it (systemd-fstab-generator(8), local-fs.target).
"""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.read_systemd import LISTS, UNITS
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import modprobe
from ansible_collections.vfio.variants.plugins.module_utils._core.udev import rules as udev

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree

FSTAB = "/etc/fstab"
EARLY = ("/", "/usr")
READ = (*udev.DIRECTORIES, *modprobe.DIRECTORIES, *LISTS, *UNITS, "/lib/modules", "/usr/lib/modules")
LOCAL = "/usr/local/"
LARGEST = 256 << 10


def doubts(tree: FileTree) -> t.Iterator[str]:
    """A sentence for each line of fstab that mounts something over them while drivers are loaded."""
    content = tree.head(FSTAB, LARGEST) or b"" if tree.is_file(FSTAB) else b""
    for number, line in enumerate(content.decode("utf-8", "surrogateescape").split("\n"), 1):
        fields = line.split()
        if len(fields) < 2 or fields[0].startswith("#") or not fields[1].startswith("/"):
            continue
        options = fields[3].split(",") if len(fields) > 3 else []
        place = posixpath.normpath(fields[1])
        if place not in EARLY and "noauto" not in options and "x-initrd.mount" not in options and _is_read(tree, place):
            yield (
                f"{FSTAB}:{number} mounts {fields[0]} at {place} while drivers are loaded: what udev and kmod read there before that "
                "cannot be determined."
            )


def _is_read(tree: FileTree, place: str) -> bool:
    """Whether something is read there or below it; of /usr/local, which often is a file system of its own, only what there is."""
    if any(place == folder or place.startswith(f"{folder}/") for folder in READ):
        return True
    return any(folder.startswith(f"{place}/") and (not folder.startswith(LOCAL) or tree.names(folder)) for folder in READ)

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd finds out about its machine, where files show it: its firmware and its name."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import truth

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline

MACHINE_ID = "/etc/machine-id"
FIRST_BOOT = "systemd.condition_first_boot"
_SETS_NAME = ("/usr/bin/cloud-init", "/usr/local/bin/cloud-init")


def is_efi(tree: FileTree, cmdline: Cmdline | None) -> bool | None:
    """Whether the firmware is UEFI, as it is now; None in a tree that is not that of a running host, or if a word changes that."""
    if cmdline is None or any(cmdline.last(word) is not None for word in ("noefi", "efi")):
        return None
    return tree.exists("/sys/firmware/efi") if tree.is_dir("/sys/firmware") else None


def is_first_boot(tree: FileTree, cmdline: Cmdline | None) -> bool | None:
    """Whether systemd takes the next boot for a host's first; None where a word says it otherwise than by yes or no, or is not known.

    detect_first_boot() in core/main.c: an empty /etc/machine-id is none of a first boot.
    """
    if cmdline is None:
        return None
    said = [value for name, value in cmdline.for_systemd if normalize_module_name(name) == FIRST_BOOT]
    if said:
        return True if said[-1] is None else truth(said[-1])
    content = tree.head(MACHINE_ID, 64)
    return content is None or content.strip() == b"uninitialized"


def host_name(tree: FileTree) -> str | None:
    """The host's name where only /etc/hostname gives it; None if something else can."""
    if any(tree.exists(path) for path in _SETS_NAME):
        return None
    lines = [line.strip() for line in (tree.text_or_none("/etc/hostname") or "").split("\n")]
    name = next((line for line in lines if line and not line.startswith("#")), "")
    return name if re.fullmatch(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*", name) and not name.startswith("localhost") else None

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd finds out about its machine, where files show it: its firmware and its name."""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline

_SETS_NAME = ("/usr/bin/cloud-init", "/usr/local/bin/cloud-init")


def is_efi(tree: FileTree, cmdline: Cmdline | None) -> bool | None:
    """Whether the firmware is UEFI, as it is now; None in a tree that is not that of a running host, or if a word changes that."""
    if cmdline is None or any(cmdline.last(word) is not None for word in ("noefi", "efi")):
        return None
    return tree.exists("/sys/firmware/efi") if tree.is_dir("/sys/firmware") else None


def host_name(tree: FileTree) -> str | None:
    """The host's name where only /etc/hostname gives it; None if something else can."""
    if any(tree.exists(path) for path in _SETS_NAME):
        return None
    lines = [line.strip() for line in (tree.text_or_none("/etc/hostname") or "").split("\n")]
    name = next((line for line in lines if line and not line.startswith("#")), "")
    return name if re.fullmatch(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*", name) and not name.startswith("localhost") else None

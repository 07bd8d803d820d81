# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a boot loader told the system by EFI variables, and what the system told it.  (systemd.io/BOOT_LOADER_INTERFACE)"""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.errors import HostError

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host import Host

FIRMWARE = "/sys/firmware/efi"
VARIABLES = f"{FIRMWARE}/efivars"
LOADER = "4a67b082-0a4c-41cf-b6c7-440bb8c4f6e5"
ATTRIBUTES = 4


def text(host: Host, name: str) -> str | None:
    """A variable of the boot loader interface, None where it is not set: four bytes of attributes, then UTF-16."""
    path = f"{VARIABLES}/{name}-{LOADER}"
    if not host.is_file(path):
        return None
    try:
        content = host.read_bytes(path)
    except HostError:
        return None
    return content[ATTRIBUTES:].decode("utf-16-le", "replace").rstrip("\0")


def are_readable(host: Host) -> bool:
    """Whether this host shows its EFI variables, so that one that is not there is not set."""
    try:
        return bool(host.names(VARIABLES))
    except HostError:
        return False

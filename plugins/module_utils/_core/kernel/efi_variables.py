# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""EFI variables, as files of efivarfs: four bytes of attributes, then the value.  (Documentation/filesystems/efivarfs.rst)"""

from __future__ import annotations

import struct
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

FIRMWARE = "/sys/firmware/efi"
VARIABLES = f"{FIRMWARE}/efivars"
LOADER = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
"""The vendor of systemd's boot loader interface (systemd.io/BOOT_LOADER_INTERFACE)."""
GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
"""The vendor of the firmware's own variables (UEFI specification, section 3.3)."""
SHIM = "605dab50-e046-4300-abb6-3dd810dd8b23"
"""The vendor of shim's variables (EFI_SHIM_LOCK_GUID in include/linux/efi.h)."""
ATTRIBUTES = 4
LONGEST = 1 << 20
MOST_NUMBERS = 512


def value(host: Host, name: str, vendor: str = LOADER) -> bytes | None:
    """A variable's value; None if it is not set, or cannot be read."""
    path = f"{VARIABLES}/{name}-{vendor}"
    status = host.stat(path)
    if status is None or status.st_size > LONGEST or not host.is_file(path):
        return None
    try:
        content = host.read_bytes(path)
    except HostError:
        return None
    return content[ATTRIBUTES:] if len(content) > ATTRIBUTES else None


def is_lasting(host: Host, name: str, vendor: str) -> bool:
    """Whether a variable that is set is kept without power (EFI_VARIABLE_NON_VOLATILE)."""
    return bool((host.head(f"{VARIABLES}/{name}-{vendor}", 1) or b"\1")[0] & 1)


def text(host: Host, name: str) -> str | None:
    """A variable of systemd's boot loader interface, in UTF-16; None if it is not set."""
    content = value(host, name)
    return None if content is None else content.decode("utf-16-le", "replace").partition("\0")[0]


def texts(host: Host, name: str) -> tuple[str, ...]:
    """A variable that is a list: each string ends with a NUL."""
    content = value(host, name)
    return () if content is None else tuple(one for one in content.decode("utf-16-le", "replace").split("\0") if one)


def numbers(host: Host, name: str) -> tuple[int, ...]:
    """A variable of the firmware that is a list of boot options' numbers; of a longer one than any firmware has, the beginning."""
    content = (value(host, name, GLOBAL) or b"")[: 2 * MOST_NUMBERS]
    return tuple(number for (number,) in struct.iter_unpack("<H", content[: len(content) // 2 * 2]))


def are_readable(host: Host) -> bool:
    """Whether this host's EFI variables can be read: only then does a missing one mean that it is not set."""
    try:
        return bool(host.names(VARIABLES))
    except HostError:
        return False

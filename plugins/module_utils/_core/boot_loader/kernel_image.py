# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which release a kernel image is: by its own word where the format has one, else by its name."""

from __future__ import annotations

import os
import re
import struct
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import MODULES

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host import Host

NAME = re.compile(r"^(?:vmlinu[zx]|kernel|linux|[bz]?Image|uImage)(?:\.gz)?-(.+?)(?:\.efi)?(?:\.signed)?(?:\.gz)?$")
# A folder that kernel-install makes: /<machine ID or token>/<release>/linux.
FOLDER = re.compile(r"/([^/]+)/(?:linux|vmlinuz|kernel)(?:\.efi)?$")
HEADER = slice(0x202, 0x206)
SETUP = 0x10000


def release(host: Host, path: str) -> str | None:
    """The release of the kernel image at ``path``, None where neither the image nor its name tells."""
    try:
        with host.open(path) as file:
            own = x86_release(file.read(SETUP))
    except (HostError, OSError):
        own = None
    return own or name_release(host, os.path.basename(path), path)


def x86_release(start: bytes) -> str | None:
    """What a bzImage says of itself (Documentation/arch/x86/boot.rst: kernel_version)."""
    if start[HEADER] != b"HdrS":
        return None
    offset = struct.unpack_from("<H", start, 0x20E)[0] + 0x200
    words = start[offset : offset + 256].split(b"\0", 1)[0].split()
    return words[0].decode("ascii", "replace") if offset > 0x200 and words else None


def name_release(host: Host, name: str, path: str = "") -> str | None:
    """The release that a name of an image holds; a link's own name holds none, so its target's is taken."""
    found = NAME.match(name) or FOLDER.search(path)
    if found is not None and (found[1][:1].isdigit() or host.is_dir(f"{MODULES}/{found[1]}")):
        return found[1]
    target = host.link(path) if path else None
    return name_release(host, os.path.basename(target)) if target else None

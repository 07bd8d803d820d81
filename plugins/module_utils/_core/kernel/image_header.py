# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The header of a kernel's image on x86, which is not compressed (Documentation/arch/x86/boot.rst)."""

from __future__ import annotations

import struct

HEADER = slice(0x202, 0x206)
MAGIC = b"HdrS"
SETUP = 0x10000
"""The part of the image that has all of it."""
_LONGEST = 256


def version(start: bytes) -> str | None:
    """What `uname -r` and `uname -v` say of it, and who built it, from the image's beginning (kernel_version); None if it does not say."""
    if start[HEADER] != MAGIC:
        return None
    offset = struct.unpack_from("<H", start, 0x20E)[0] + 0x200
    text = start[offset : offset + _LONGEST].split(b"\0", 1)[0].decode("ascii", "replace")
    return text if offset > 0x200 and text else None

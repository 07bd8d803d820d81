# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel inside a bzImage: QEMU starts it as it is, where unpacking it would take a guest without KVM up to three seconds."""

from __future__ import annotations

import lzma
import struct
import subprocess

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

# Documentation/arch/x86/boot.rst: sectors of set-up code, then place and length of the compressed kernel behind them.
_SETUP_SECTORS = 0x1F1
_PAYLOAD = 0x248
_XZ = b"\xfd7zXZ\x00"
_ZSTD = b"\x28\xb5\x2f\xfd"
_SIZE_BEHIND = 4


def unpacked(image: bytes) -> bytes:
    """The ELF file, which has the entry for this way of starting (CONFIG_PVH)."""
    offset, length = struct.unpack_from("<II", image, _PAYLOAD)
    start = ((image[_SETUP_SECTORS] or 4) + 1) * 512 + offset
    payload = image[start : start + length]
    if payload.startswith(_XZ):
        return lzma.LZMADecompressor().decompress(payload)
    if payload.startswith(_ZSTD):
        words = ("zstd", "-q", "-d", "-c")
        return subprocess.run(words, input=payload[:-_SIZE_BEHIND], capture_output=True, check=True, timeout=60).stdout
    raise HostError(f"The kernel is compressed in a way that nobody here knows ({payload[:6].hex()}).")

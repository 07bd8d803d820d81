# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An initramfs with all names and links of another one, and of its contents those alone that decide about drivers."""

from __future__ import annotations

import stat as stat_bits
import struct
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.archive import MAGICS, TRAILER
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image import kept_of
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image_file import MAGIC
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_file import module_name

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

DIRECTORY, FILE, LINK = stat_bits.S_IFDIR | 0o755, stat_bits.S_IFREG | 0o644, stat_bits.S_IFLNK | 0o777


def reduced(host: Host, path: str, modules: t.Collection[str], rewrite: t.Callable[[bytes], bytes]) -> bytes:
    """The archive, uncompressed; ``rewrite`` changes each text, and the contents of ``modules`` stay as they are.

    Raises HostError if the image cannot be read.
    """
    kept = kept_of(host, path, modules)
    parents = {name[:at] for name in kept.names for at, sign in enumerate(name) if sign == "/"}
    written = []
    for number, name in enumerate(sorted(kept.names), 1):
        if name in kept.links:
            written.append(archive_member(name, LINK, number, kept.links[name].encode("utf-8", "surrogateescape")))
        elif name in kept.contents:
            content = kept.contents[name]
            written.append(archive_member(name, FILE, number, rewrite(content) if module_name(name) is None else content))
        else:
            written.append(archive_member(name, DIRECTORY if name in parents else FILE, number, b""))
    written.append(archive_member(TRAILER.decode(), 0, 0, b""))
    text = rewrite(kept.boot_config.encode())
    # Documentation/admin-guide/bootconfig.rst
    end = text + struct.pack("<II", len(text), sum(text) & 0xFFFFFFFF) + MAGIC if text else b""
    return b"".join(written) + end


def archive_member(name: str, mode: int, inode: int, content: bytes) -> bytes:
    """A file, folder or link of an archive in the format newc (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    called = name.encode("utf-8", "surrogateescape") + b"\0"
    fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(called), 0)
    head = MAGICS[0] + b"".join(b"%08X" % field for field in fields) + called
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)

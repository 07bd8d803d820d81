# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guests' programs are taken without the root that is packed with them."""

from __future__ import annotations

from archive import padded
from rehearsal_image import _Bytes, copy_without
from world_archive import EntryArchive

from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs import archive


def made(*files: str) -> bytes:
    found = EntryArchive()
    for path in files:
        found.file(path, f"content of {path}", 0o755)
    found.link("/usr/bin/sh", "busybox")
    return padded(found.content())


def test_everything_but_the_folder_is_copied_from_each_archive() -> None:
    target = EntryArchive()
    copy_without(made("/init", "/root/etc/fstab", "/rooted/x") + made("/usr/bin/busybox", "/root/usr/bin/cat"), "root", target)
    reader = _Bytes(target.content())
    found = {one.name: reader.peek(one.size) for one in archive.members(reader) if one.is_file or one.is_link}
    assert found == {
        "init": b"content of /init",
        "rooted/x": b"content of /rooted/x",
        "usr/bin/busybox": b"content of /usr/bin/busybox",
        "usr/bin/sh": b"busybox",
    }

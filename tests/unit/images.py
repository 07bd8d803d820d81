# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""initramfs images to test on, written as cpio's newc form asks and packed by the real programs.

packed(archive({"lib": Link("usr/lib"), "usr/lib/modules/6.12.107/kernel/vfio-pci.ko": module()}), "zstd")
"""

from __future__ import annotations

import dataclasses
import hashlib
import stat
import subprocess
import typing as t

from ansible_collections.vfio.variants.tests.unit.module_files import elf

TRAILER = "TRAILER!!!"
PACKERS: t.Mapping[str, list[str]] = {
    "gzip": ["gzip", "-c"],
    "xz": ["xz", "--check=crc32", "-c"],
    "lzma": ["xz", "--format=lzma", "-c"],
    "bzip2": ["bzip2", "-c"],
    "zstd": ["zstd", "-q", "-c"],
    # The kernel knows LZ4's legacy frames only.
    "lz4": ["lz4", "-l", "-q", "-c"],
    "lzop": ["lzop", "-q", "-c"],
}


@dataclasses.dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


@dataclasses.dataclass(frozen=True)
class SameFile:
    """A hard link: another name of the file that comes later under ``name``, which carries the content."""

    name: str


@dataclasses.dataclass(frozen=True)
class Folder:
    """A directory, which an archive has entries for, too."""


if t.TYPE_CHECKING:
    Entry = bytes | str | Link | SameFile | Folder


def archive(entries: t.Mapping[str, Entry]) -> bytes:
    """A cpio archive of these files; text is UTF-8."""
    inodes = {name: number for number, name in enumerate(entries, 1)}
    shared = {entry.name for entry in entries.values() if isinstance(entry, SameFile)}
    records = []
    for name, entry in entries.items():
        links = 2 if name in shared or isinstance(entry, SameFile) else 1
        inode = inodes[entry.name if isinstance(entry, SameFile) else name]
        records.append(_record(name, entry, inode, links))
    return b"".join([*records, _record(TRAILER, b"", 0, 1)])


def _record(name: str, entry: Entry, inode: int, links: int) -> bytes:
    content = entry.target if isinstance(entry, Link) else b"" if isinstance(entry, (SameFile, Folder)) else entry
    data = content.encode() if isinstance(content, str) else content
    kind = stat.S_IFLNK | 0o777 if isinstance(entry, Link) else stat.S_IFDIR | 0o755 if isinstance(entry, Folder) else stat.S_IFREG | 0o644
    plain_name = name.encode() + b"\0"
    fields = (inode, kind, 0, 0, links, 0, len(data), 8, 1, 0, 0, len(plain_name), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields) + plain_name
    return _aligned(header) + _aligned(data)


def _aligned(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def packed(data: bytes, program: str) -> bytes:
    """The data as a compression program packs it."""
    return subprocess.run(PACKERS[program], input=data, stdout=subprocess.PIPE, check=True).stdout


def module(build: str = "first build", debug: bytes = b"", signature: bytes = b"") -> bytes:
    """A module file as far as its identity goes: the linker's build ID, what `strip` takes away, what `sign-file` appends."""
    note = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0" + hashlib.sha1(build.encode(), usedforsecurity=False).digest()
    plain = elf({".note.gnu.build-id": note, **({".debug_info": debug} if debug else {})})
    return plain + (signature + b"~Module signature appended~\n" if signature else b"")

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a host writes its memory: after a crash (kdump), and when it hibernates."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import head_text, names_if_any
from ansible_collections.vfio.variants.plugins.module_utils._core.host.numbered_matches import numbered_matches

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

KDUMP = "/etc/kdump.conf"
KDUMP_VARIABLES = ("/etc/default/kdump-tools", "/etc/sysconfig/kdump")
"""Of Debian's kdump-tools, and of SUSE's kdump; both are read by a shell."""
MESSAGES: t.Mapping[str, str] = {
    "/sys/module/pstore_blk/parameters/blkdev": "pstore_blk",
    "/sys/module/mtdoops/parameters/mtddev": "mtdoops",
}
"""Where the kernel is told on which disk or flash memory it keeps its last messages of a crash; it does not hold that."""
FLASH_NUMBER = re.compile(r"\d+")
RESUME_NOW = "/sys/power/resume"
RESUME_FOLDER, RESUME_FILE = "/etc/initramfs-tools/conf.d", "/etc/initramfs-tools/initramfs.conf"
LARGEST = 1 << 20
NONE_OF_HIBERNATION = ("", "0:0")
# Each at the beginning of a line; blanks of it only, so that a file of empty lines is read in linear time.
_TARGET = re.compile(r"^(raw|nfs|ssh|virtiofs|ext[234]|xfs|btrfs|minix|f2fs)[ \t]+(\S+)", re.MULTILINE)
_VARIABLE = re.compile(r"^(?:export[ \t]+)?(NFS|SSH|KDUMP_SAVEDIR)=[\"']?([^\"'\n]*)", re.MULTILINE)
_RESUME = re.compile(r"^(?:export[ \t]+)?RESUME=[\"']?([^\"'\s]+)", re.MULTILINE)
_URL = re.compile(r"(nfs|ssh|sftp|ftp|cifs)://(?:([^@/\s]*)@)?([^/\s]+)(\S*)")
_KIND_OF_SERVERS = {"nfs": "nfs", "cifs": "nfs", "ssh": "fuse.sshfs", "sftp": "fuse.sshfs", "ftp": "fuse.sshfs"}
"""By which kind of file system's source its server is read."""


class DumpTarget(t.NamedTuple):
    """A disk or server as the line of a file names it, and the kind of its file system; empty for a disk as it is."""

    source: str
    kind: str
    where: str


def crash_targets(host: Host) -> t.Iterator[DumpTarget]:
    """Where the kernel of a crash writes the memory (kdump.conf(5), kdump-tools(5), kdump(5) of SUSE)."""
    for line, found in numbered_matches(_TARGET, head_text(host, KDUMP, LARGEST)):
        kind = "" if found[1] == "raw" else _KIND_OF_SERVERS.get(found[1], found[1])
        yield DumpTarget(found[2] if found[1] != "ssh" else f"{found[2]}:/", kind, f"{KDUMP}:{line}")
    for path in KDUMP_VARIABLES:
        for line, found in numbered_matches(_VARIABLE, head_text(host, path, LARGEST)):
            where = f"{path}:{line}"
            if found[1] == "KDUMP_SAVEDIR":
                urls = (_URL.match(word) for word in found[2].split())
                yield from (DumpTarget(f"{url[2] or ''}@{url[3]}:/", _KIND_OF_SERVERS[url[1]], where) for url in urls if url is not None)
            elif found[2].strip():
                kind = _KIND_OF_SERVERS[found[1].lower()]
                yield DumpTarget(found[2].strip() if found[1] == "NFS" else f"{found[2].strip()}:/", kind, where)


def message_targets(host: Host) -> t.Iterator[tuple[str, str]]:
    """The disk or flash memory with the last messages of a crash, and where it is named."""
    for path, name in MESSAGES.items():
        named = (host.text_or_none(path) or "").strip()
        if named and named != "(null)":
            yield f"mtd{named}" if name == "mtdoops" and FLASH_NUMBER.fullmatch(named) else named, path


def hibernation_disks(host: Host) -> t.Iterator[tuple[str, str]]:
    """The disks that the memory is written to, each with where it is named: as `major:minor`, or as initramfs-tools is told."""
    number = host.text_or_none(RESUME_NOW)
    if number is not None and number not in NONE_OF_HIBERNATION:
        yield number, RESUME_NOW
    for path in (RESUME_FILE, *(f"{RESUME_FOLDER}/{name}" for name in names_if_any(host, RESUME_FOLDER))):
        for line, found in numbered_matches(_RESUME, head_text(host, path, LARGEST)):
            if found[1] not in ("none", "auto"):
                yield found[1], f"{path}:{line}"

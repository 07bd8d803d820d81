# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The digests of packages' files: dpkg's md5sums and conffiles, pacman's mtree, rpm's database where it is SQLite.

rpm's other formats (ndb, Berkeley DB) are not read, and neither is SQLite where this Python has no module for it.
"""

from __future__ import annotations

import re
import struct
import typing as t
import zlib

from ansible_collections.vfio.variants.plugins.module_utils._core.host import database
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.package_paths import plain

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

DPKG, DPKG_STATUS = "/var/lib/dpkg/info", "/var/lib/dpkg/status"
PACMAN = "/var/lib/pacman/local"
RPM = ("/usr/lib/sysimage/rpm/rpmdb.sqlite", "/var/lib/rpm/rpmdb.sqlite")
PLACES = (DPKG, DPKG_STATUS, PACMAN, *RPM)
LARGEST = 32 << 20
LARGEST_LIST = 16 << 20
MOST_PACKAGES = 20_000
MOST_KEPT, LARGEST_KEPT = 300_000, 64 << 20
"""Files of all packages together, and bytes of their paths; a desktop has a third of that.  Of what is beyond, no package is known."""
# What nothing runs at boot: leaving it out keeps the index small.
_UNASKED = re.compile(
    r"(?:usr/)?(?:share/(?!initramfs-tools/|dracut/|mdadm/|netfilter|vfio|libvirt|ovs|openvswitch)"
    r"|include/|src/|lib/(?:modules|firmware|python3?/dist-packages/[^/]*/test)/)"
)
_SUM = re.compile(r"^([0-9a-f]{32})  (\S[^\n]*)$", re.MULTILINE)
_CONFFILE = re.compile(r"^ (/\S+) ([0-9a-f]{32})", re.MULTILINE)
_MTREE = re.compile(r"^\./(\S+) [^\n]*?\b(?:sha256digest|md5digest)=([0-9a-f]+)", re.MULTILINE)
_ESCAPED = re.compile(r"\\([0-7]{3})")


def read(host: Host) -> dict[str, frozenset[str]] | None:
    """The digests by path (`plain()`); None if there is no database that can be read."""
    found: dict[str, frozenset[str]] = {}
    left = LARGEST_KEPT
    for one in (_dpkg, _pacman, _rpm):
        for path, digest in one(host):
            left -= len(path) + len(digest)
            if left < 0 or len(found) >= MOST_KEPT:
                return found
            name = plain(path)
            found[name] = found[name].union((digest,)) if name in found else frozenset((digest,))
    return found or None


def _dpkg(host: Host) -> t.Iterator[tuple[str, str]]:
    names = [name for name in host.names(DPKG) if name.endswith(".md5sums")]
    for name in names[:MOST_PACKAGES]:
        content = host.head(f"{DPKG}/{name}", LARGEST_LIST) or b""
        for line in _SUM.finditer(content.decode("utf-8", "surrogateescape")):
            digest, path = line.groups()
            if not _UNASKED.match(path):
                yield f"/{path}", digest
    status = host.head(DPKG_STATUS, LARGEST) or b""
    for line in _CONFFILE.finditer(status.decode("utf-8", "surrogateescape")):
        yield line[1], line[2]


def _pacman(host: Host) -> t.Iterator[tuple[str, str]]:
    for name in host.names(PACMAN)[:MOST_PACKAGES]:
        packed = host.head(f"{PACMAN}/{name}/mtree", LARGEST_LIST)
        for line in _MTREE.finditer(_unpacked(packed)) if packed else ():
            path, digest = line.groups()
            if not _UNASKED.match(path):
                yield "/" + _ESCAPED.sub(lambda match: chr(int(match[1], 8)), path), digest


def _unpacked(packed: bytes) -> str:
    if not packed.startswith(b"\x1f\x8b"):
        return packed.decode("utf-8", "surrogateescape")
    try:
        # 31: with gzip's header; at most so many bytes, whatever the file says
        return zlib.decompressobj(31).decompress(packed, LARGEST_LIST).decode("utf-8", "surrogateescape")
    except zlib.error:
        return ""


# Tags and types of rpm's headers (lib/rpmtag.h).
_DIRINDEXES, _BASENAMES, _DIRNAMES, _DIGESTS = 1116, 1117, 1118, 1035
_MOST_FILES = 500_000


def _rpm(host: Host) -> t.Iterator[tuple[str, str]]:
    for place in RPM:
        if not host.is_file(place):
            continue
        for (blob,) in database.rows(host, place, "SELECT blob FROM Packages", MOST_PACKAGES) or ():
            if isinstance(blob, bytes):
                yield from _header(blob)
        return


def _header(blob: bytes) -> t.Iterator[tuple[str, str]]:
    """Paths and digests in an rpm header: two counts, an index of (tag, type, offset, count), and a store."""
    try:
        entries, size = struct.unpack_from(">II", blob)
        store = 8 + 16 * entries
        if entries > 1 << 16 or store + size > len(blob):
            return
        index = {tag: (kind, offset, count) for tag, kind, offset, count in struct.iter_unpack(">IIII", blob[8:store])}
        folders, names, digests = (_strings(blob, store, index.get(tag)) for tag in (_DIRNAMES, _BASENAMES, _DIGESTS))
        _kind, offset, count = index.get(_DIRINDEXES, (4, 0, 0))
        numbers = struct.unpack_from(f">{min(count, _MOST_FILES)}I", blob, store + offset)
    except (struct.error, ValueError):
        return
    for number, name, digest in zip(numbers, names, digests):
        if digest and number < len(folders) and not _UNASKED.match(folders[number].lstrip("/")):
            yield folders[number] + name, digest


def _strings(blob: bytes, store: int, entry: tuple[int, int, int] | None) -> list[str]:
    if entry is None:
        return []
    _kind, offset, count = entry
    return [
        one.decode("utf-8", "surrogateescape")
        for one in blob[store + offset :].split(b"\0", min(count, _MOST_FILES))[: min(count, _MOST_FILES)]
    ]

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of a kernel's source, the version, the licence and everything of its VFIO PCI drivers: from a folder, or from an archive.

An archive of 150 MB is read once from front to end and nothing of it is written to the disk.
"""

from __future__ import annotations

import base64
import dataclasses
import re
import tarfile
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.compression import LONGEST_MAGIC, kind, unpacked
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import CorruptFileError, HostError, cut

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.compression import FileReader, Unpacker
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

MAKEFILE, COPYING = "Makefile", "COPYING"
DRIVERS = "drivers/vfio/pci"
# Where tables have the names and the lists of their IDs from.
ID_LISTS = ("include/drm/intel/pciids.h", "include/linux/pci_ids.h", "include/linux/pds/pds_core_if.h")
SINGLE = frozenset((MAKEFILE, COPYING, *ID_LISTS))
LARGEST_SOURCE = 4 << 20
"""Bytes of one file of a driver: the largest, of mlx5, has 45 KB, and pci_ids.h 130 KB."""
MOST_BYTES, MOST_FILES = 32 << 20, 2000
LARGEST_ARCHIVE = 8 << 30
"""Bytes that an archive may unpack to: Linux 7.3 has 1.6 GB."""
MOST_MEMBERS = 1_000_000
ARCHIVE = re.compile(r"\.(?:tar|tar\.(?:xz|gz|bz2|zst)|tgz|txz|tbz2?)$")
_NUMBER = re.compile(r"^(VERSION|PATCHLEVEL|SUBLEVEL)[ \t]*=[ \t]*(\d+)[ \t]*$", re.MULTILINE)
_SAFE = re.compile(r"(?:[A-Za-z0-9_.+-]+/)*[A-Za-z0-9_.+-]+", re.ASCII)


@dataclasses.dataclass(frozen=True)
class LinuxTree:
    """``files`` by their path in the tree; ``where`` is the folder or the archive."""

    where: str
    files: t.Mapping[str, bytes]

    @property
    def version(self) -> str | None:
        """Such as 6.12.117, without what a distribution adds to it; None if the Makefile does not say."""
        found = dict(_NUMBER.findall(self.text(MAKEFILE)))
        return f"{found['VERSION']}.{found['PATCHLEVEL']}.{found['SUBLEVEL']}" if len(found) == 3 else None

    def text(self, path: str) -> str:
        return self.files.get(path, b"").decode("utf-8", "surrogateescape")

    def encoded(self) -> t.Any:
        return {"where": self.where, "files": {name: base64.b64encode(content).decode() for name, content in self.files.items()}}

    @classmethod
    def decoded(cls, value: t.Any) -> LinuxTree:
        return cls(str(value["where"]), {str(name): base64.b64decode(content) for name, content in value["files"].items()})


def read_tree(host: Host, where: str) -> LinuxTree:
    """The source at ``where``.  Raises HostError if that is not a kernel's source."""
    tree = _from_folder(host, where) if host.is_dir(where) else _from_archive(host, where)
    if tree.version is None:
        raise HostError(f"{where} is not the source of a kernel: it has no Makefile with a VERSION.", "Give a kernel's source tree.")
    return tree


def _from_folder(host: Host, folder: str) -> LinuxTree:
    here = folder.rstrip("/")
    names = [name for name in sorted(SINGLE) if host.is_file(f"{here}/{name}")]
    for one in host.names(f"{here}/{DRIVERS}"):
        place = f"{here}/{DRIVERS}/{one}"
        below = [f"{one}/{name}" for name in host.names(place)] if host.is_dir(place) and host.link(place) is None else [one]
        names += [f"{DRIVERS}/{name}" for name in below if _is_wanted(f"{DRIVERS}/{name}")]
    keeper = _Keeper(folder)
    for name in names:
        # A link could lead anywhere; a kernel's source has none there.
        if host.is_file(f"{here}/{name}") and host.link(f"{here}/{name}") is None:
            keeper.add(name, host.read_bytes(f"{here}/{name}", LARGEST_SOURCE))
    return LinuxTree(folder, keeper.files)


def _from_archive(host: Host, path: str) -> LinuxTree:
    if not host.is_file(path):
        raise HostError(f"There is no {cut(path)} on this host.", "Give a folder or an archive with the source of a kernel.")
    keeper = _Keeper(path)
    try:
        with host.open(path) as file:
            if kind(host.head(path, LONGEST_MAGIC) or b"") is None:
                _read_members(file, keeper)
            else:
                with unpacked(host, file, LARGEST_ARCHIVE) as stream:
                    _read_members(_Limited(stream), keeper)
    except _EnoughError:
        pass
    except (tarfile.TarError, CorruptFileError, EOFError, OSError) as error:
        raise HostError(f"{path} cannot be unpacked: {error}.", "Install or download it again.") from error
    return LinuxTree(path, keeper.files)


class _EnoughError(Exception):
    """All that is wanted was read."""


class _Readable(t.Protocol):
    """What `tarfile` asks of a stream."""

    def read(self, size: int, /) -> bytes: ...


class _Limited:
    """A stream that ends where the compressed one does."""

    def __init__(self, stream: FileReader | Unpacker) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        return self._stream.read(size)


class _Keeper:
    """Keeps files up to a limit, the first of each name."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._size = 0
        self.files: dict[str, bytes] = {}

    def add(self, name: str, content: bytes) -> None:
        self._size += len(content)
        if self._size > MOST_BYTES or len(self.files) >= MOST_FILES:
            raise HostError(f"{self._where} has more in {DRIVERS} than a kernel's source.", "Give a kernel's source tree.")
        self.files.setdefault(name, content)


def _is_wanted(name: str) -> bool:
    below = name[len(DRIVERS) + 1 :] if name.startswith(f"{DRIVERS}/") else ""
    inside = below.endswith(".h") if "/" not in below else below.count("/") == 1
    return bool(_SAFE.fullmatch(name)) and ".." not in name.split("/") and (name in SINGLE or (bool(below) and inside))


def _read_members(stream: _Readable, keeper: _Keeper) -> None:
    """Raises _EnoughError as soon as nothing more can come: a folder's files are together in an archive."""
    seen_drivers = False
    with tarfile.open(fileobj=t.cast("t.IO[bytes]", stream), mode="r|") as archive:
        for _number in range(MOST_MEMBERS):
            member = archive.next()
            if member is None:
                return
            # Otherwise it keeps each of the hundred thousand that it has seen.
            t.cast("t.Any", archive).members = []
            # The tree is in one folder of the archive, whatever its name.
            name = member.name[2:] if member.name.startswith("./") else member.name
            name = name.partition("/")[2]
            content = archive.extractfile(member) if member.isreg() and _is_wanted(name) and member.size <= LARGEST_SOURCE else None
            if content is not None:
                keeper.add(name, content.read())
            seen_drivers = seen_drivers or name.startswith(f"{DRIVERS}/")
            if seen_drivers and not name.startswith(DRIVERS) and keeper.files.keys() >= SINGLE:
                raise _EnoughError
    raise HostError(f"An archive with more than {MOST_MEMBERS} files is not a kernel's source.", "Give a kernel's source.")

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Those files of a kernel's source that its VFIO PCI drivers are built from, and reading them out of a tar archive.

An archive of 150 MB is read once from front to end and nothing of it is written to the disk.
"""

from __future__ import annotations

import contextlib
import re
import tarfile
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.compression import unpacked_if_packed
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.links import without_links

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
_SAFE = re.compile(r"(?:[A-Za-z0-9_.+-]+/)*[A-Za-z0-9_.+-]+", re.ASCII)
# What kbuild writes beside sources (.gitignore of Linux): a tree that somebody has built in has them, too.
_MADE = re.compile(
    r"(?:^|/)(?:\.[^/]*\.(?:cmd|d)|modules\.order|Module\.symvers|[^/]*\.(?:a|dwo|gcno|i|ko|ll|lst|mod|mod\.c|o|s|su|symtypes))$"
)
_READ = re.compile(r"\.[chS]$|(?:^|/)(?:Kbuild|Kconfig|Makefile)$")
TOO_LARGE = f"has more than {LARGEST_SOURCE >> 20} MiB"


class Keeper:
    """Keeps files up to a limit, the first of each name; ``left_out`` says of others why they were not read."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._size = 0
        self.files: dict[str, bytes] = {}
        self.left_out: dict[str, str] = {}
        self.links: dict[str, str] = {}
        """Of an archive: what each link says, by its path as if the archive were unpacked in the root."""

    def leave_out(self, name: str, why: str) -> None:
        """A folder of a driver, or a file that a build would read, is not kept."""
        if _READ.search(name) or is_folder_of_driver(name):
            self.left_out.setdefault(name, why)
            self._check()

    def add(self, name: str, content: bytes) -> None:
        self._size += len(content)
        self.files.setdefault(name, content)
        self._check()

    def add_link(self, path: str, target: str) -> None:
        self.links[path] = target
        self._check()

    def _check(self) -> None:
        if self._size > MOST_BYTES or len(self.files) + len(self.left_out) + len(self.links) > MOST_FILES:
            raise HostError(f"{self._where} has more in {DRIVERS} than a kernel's source.", "Give a kernel's source tree.")


def is_wanted(name: str) -> bool:
    """Whether a file, by its path in the tree, is kept."""
    below = name[len(DRIVERS) + 1 :] if name.startswith(f"{DRIVERS}/") else ""
    inside = below.endswith(".h") if "/" not in below else below.count("/") == 1
    is_safe = bool(_SAFE.fullmatch(name)) and ".." not in name.split("/")
    return is_safe and (name in SINGLE or (bool(below) and inside and not _MADE.search(name)))


def is_folder_of_driver(name: str) -> bool:
    """Whether the folder of a driver would be at such a path in the tree."""
    return name.rpartition("/")[0] == DRIVERS and bool(re.fullmatch(r"[\w-]+", name.rpartition("/")[2]))


def keep_from_archive(host: Host, file: t.BinaryIO, keeper: Keeper) -> None:
    """Keep what is wanted of the archive, compressed or not, that begins at the file's position, and read no further than for that.

    Raises tarfile.TarError, CorruptFileError, EOFError or OSError if it is damaged.
    """
    with contextlib.suppress(_EnoughError), unpacked_if_packed(host, file, LARGEST_ARCHIVE) as stream:
        _keep_members(stream, keeper)
    _keep_linked(keeper)


def members_of(stream: FileReader | Unpacker) -> t.Iterator[tuple[tarfile.TarInfo, t.IO[bytes] | None]]:
    """Each member of a tar archive, with its content if it is a file."""
    with tarfile.open(fileobj=t.cast("t.IO[bytes]", stream), mode="r|") as archive:
        for _number in range(MOST_MEMBERS):
            member = archive.next()
            if member is None:
                return
            # Otherwise it keeps each of the hundred thousand that it has seen.
            t.cast("t.Any", archive).members = []
            yield member, archive.extractfile(member) if member.isreg() else None
    raise HostError(f"An archive with more than {MOST_MEMBERS} files is not a kernel's source.", "Give a kernel's source.")


class _EnoughError(Exception):
    """All that is wanted was read."""


def _keep_members(stream: FileReader | Unpacker, keeper: Keeper) -> None:
    """Raises _EnoughError as soon as nothing more can come: a folder's files are together in an archive."""
    seen_drivers = False
    for member, content in members_of(stream):
        name = _below(member.name)
        if not (is_wanted(name) or is_folder_of_driver(name)):
            pass
        elif member.issym() or member.islnk():
            keeper.add_link(_as_absolute(member.name), member.linkname if member.issym() else _as_absolute(member.linkname))
        elif content is not None and member.size > LARGEST_SOURCE:
            keeper.leave_out(name, TOO_LARGE)
        elif content is not None and is_wanted(name):
            keeper.add(name, content.read())
        seen_drivers = seen_drivers or name.startswith(f"{DRIVERS}/")
        if seen_drivers and not name.startswith(DRIVERS) and keeper.files.keys() >= SINGLE:
            raise _EnoughError


def _as_absolute(name: str) -> str:
    """A member's path as if the archive were unpacked in the root."""
    return f"/{name[2:] if name.startswith('./') else name}"


def _below(name: str) -> str:
    """A member's path in the tree, which is in one folder of the archive, whatever its name."""
    return _as_absolute(name)[1:].partition("/")[2]


def _keep_linked(keeper: Keeper) -> None:
    """A link counts as what was kept of where it leads; what was not is not known any more."""
    for path in keeper.links:
        name, place = _below(path[1:]), without_links(path, keeper.links.get)
        target = "" if place is None else _below(place[1:])
        linked = {name + one[len(target) :]: kept for one, kept in keeper.files.items() if one == target or one.startswith(f"{target}/")}
        for one, content in linked.items():
            if is_wanted(one):
                keeper.add(one, content)
        if not linked:
            keeper.leave_out(name, "is a link that leads to no file of a driver in that archive")

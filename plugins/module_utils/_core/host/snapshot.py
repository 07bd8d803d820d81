# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive of what was read of a host: its files, links and directories at their places, and nothing else of it."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import shutil
import stat as stat_bits
import tarfile
import tempfile
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.links import without_links

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.noting_host import Notes, NotingHost

LARGEST = 256 << 20
"""Bytes of one file; larger ones are left out."""
LARGEST_IN_ALL = 1 << 30
MOST_ENTRIES = 500_000
LARGEST_UNREAD = 1 << 20
"""Bytes for a file that was looked at and not read: its size may matter, its content does not."""
KERNELS_OWN = ("/proc", "/sys")

RewriteAny = t.Callable[[str, t.Optional[bytes]], t.Union[bytes, str]]
"""A file's content as it goes into the archive, from its path and its content (None if it is too large), or why it is left out."""


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """A file that is not in the archive, and why."""

    path: str
    why: str


@dataclasses.dataclass
class Snapshot:
    """The archive (tar, gzip) with its top directory ``top``, and what is not in it."""

    data: bytes
    entries: int
    left_out: tuple[LeftOut, ...]


class _OwnArchive(tarfile.TarFile):
    """Made just now, of this machine's own files: Python's filters would refuse the absolute links that hosts have."""

    extraction_filter = staticmethod(lambda member, _path: member)


class _RealPaths:
    """Follows paths below a root as the kernel would, and keeps the links on the way."""

    def __init__(self, root: str) -> None:
        self._root = root.rstrip("/")
        self.links: dict[str, str] = {}

    def real(self, path: str) -> str | None:
        """The place that a path leads to, as a path below the root; None for a loop."""
        return without_links(path, self._target)

    def _target(self, place: str) -> str | None:
        if place not in self.links:
            try:
                self.links[place] = os.readlink(self._root + place)
            except OSError:
                return None
        return self.links[place]


def take(host: NotingHost, rewrite: RewriteAny, top: str) -> Snapshot:
    """The archive of what has been noted; ``rewrite`` is asked for each file whose content was read."""
    places = _RealPaths(host.root)
    files = _Files(host, rewrite, places)
    files.add(host.notes)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT, compresslevel=6) as archive:
        for place in sorted(files.found):
            files.put(archive, place, top)
        for place, target in sorted(places.links.items()):
            entry = tarfile.TarInfo(top + place)
            entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
            archive.addfile(entry)
    return Snapshot(buffer.getvalue(), len(files.found) + len(places.links), tuple(files.left_out))


class _Files:
    """What goes into the archive, by its real place: a content, or None for what was only looked at."""

    def __init__(self, host: NotingHost, rewrite: RewriteAny, places: _RealPaths) -> None:
        self._root = host.root.rstrip("/")
        self._rewrite = rewrite
        self._places = places
        self._left = LARGEST_IN_ALL
        self.found: dict[str, bytes | None] = {}
        self.left_out: list[LeftOut] = []

    def add(self, notes: Notes) -> None:
        for path in sorted(notes.seen | notes.listed):
            self._look_at(path)
        for path in sorted(notes.listed):
            place = self._places.real(path)
            for name in self._listed(place):
                self._look_at(f"{place}/{name}")
        for path in sorted(notes.whole | notes.images.keys() | notes.contents.keys()):
            self._add_content(path, notes.contents.get(path))

    def _listed(self, place: str | None) -> list[str]:
        try:
            return [] if place is None else os.listdir(self._root + place)
        except OSError:
            return []

    def _look_at(self, path: str) -> None:
        place = self._places.real(path)
        if place is None or len(self.found) >= MOST_ENTRIES:
            return
        if os.path.lexists(self._root + place):
            self.found.setdefault(place, None)

    def _add_content(self, path: str, content: bytes | None) -> None:
        place = self._places.real(path)
        if place is None or place not in self.found or self.found[place] is not None:
            return
        known = self._read(place) if content is None else content
        written = self._rewrite(path, known)
        if isinstance(written, bytes) and len(written) > self._left:
            written = f"the archive would have more than {LARGEST_IN_ALL >> 20} MiB"
        if isinstance(written, str):
            self.left_out.append(LeftOut(path, written))
            return
        self._left -= len(written)
        self.found[place] = written

    def _read(self, place: str) -> bytes | None:
        try:
            if os.stat(self._root + place).st_size > LARGEST:
                return None
            with open(self._root + place, "rb") as file:
                return file.read(LARGEST)
        except OSError:
            return b""

    def put(self, archive: tarfile.TarFile, place: str, top: str) -> None:
        try:
            status = os.lstat(self._root + place)
        except OSError:
            return
        entry = tarfile.TarInfo(top + place)
        entry.mode, entry.mtime = stat_bits.S_IMODE(status.st_mode) | 0o400, status.st_mtime
        if stat_bits.S_ISDIR(status.st_mode):
            entry.type, entry.mode = tarfile.DIRTYPE, entry.mode | 0o700
            archive.addfile(entry)
        elif stat_bits.S_ISREG(status.st_mode):
            content = self.found[place]
            if content is None:
                content = b"" if place.startswith(KERNELS_OWN) else bytes(min(status.st_size, LARGEST_UNREAD))
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        elif stat_bits.S_ISFIFO(status.st_mode):
            entry.type = tarfile.FIFOTYPE
            archive.addfile(entry)


@contextlib.contextmanager
def unpacked(snapshot: Snapshot, top: str) -> t.Iterator[str]:
    """The root of the archive's tree, unpacked for as long as the `with` statement runs.  Raises HostError."""
    folder = tempfile.mkdtemp(prefix="vfio-variants-")
    try:
        with _OwnArchive.open(fileobj=io.BytesIO(snapshot.data)) as archive:
            for entry in archive:
                entry.uid, entry.gid = os.geteuid(), os.getegid()
                archive.extract(entry, folder, set_attrs=True)
        os.makedirs(f"{folder}/{top}", exist_ok=True)
        yield f"{folder}/{top}"
    except (OSError, tarfile.TarError) as error:
        raise HostError(f"The archive cannot be unpacked to be checked: {error}.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)

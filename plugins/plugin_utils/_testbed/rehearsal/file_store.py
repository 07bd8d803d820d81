# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of hosts by their digests: what one host has sent is not sent again, by that host or another one."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import tarfile
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.tree_archive import FILE, FOLDER, LINK, MOUNTED, TreeEntry
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache

LARGEST_LIST = 512 << 20
PIECE = 1 << 20
#: What packages bring is the same on many hosts, and stays; everything else is one host's own, and is deleted after the rehearsal.
_OF_PACKAGES = ("/usr/", "/lib/", "/bin/", "/sbin/")
_NOT_OF_PACKAGES = ("/usr/local/",)


@dataclass(frozen=True)
class Collected:
    """What a host has sent about itself."""

    entries: tuple[TreeEntry, ...]
    facts: t.Mapping[str, t.Any]

    @classmethod
    def read(cls, place: Path) -> Collected:
        """From the list that `rehearsal_files` wrote.  Raises HostError."""
        try:
            with gzip.open(place) as file:
                text = file.read(LARGEST_LIST)
            document = json.loads(text.decode("utf-8", "surrogateescape"))
            entries = tuple(TreeEntry(*fields) for fields in document.pop("entries"))
        except (OSError, EOFError, ValueError, TypeError, KeyError) as error:
            raise HostError(f"The list of the host's files cannot be read: {error}.") from error
        return cls(tuple(entry for entry in entries if _is_inside(entry.path)), document)

    def not_mounted(self) -> list[str]:
        """A sentence about each place where the host has another file system that was not collected by itself."""
        there = {entry.path for entry in self.entries}
        found = (one["path"] for one in self.facts["left_out"] if one["why"] == MOUNTED)
        return [f"{path} was not sent: {MOUNTED}" for path in found if path not in there]


def _is_inside(path: str) -> bool:
    return path.startswith("/") and not {"..", ".", ""} & set(path.split("/")[1:])


def _is_of_host(path: str) -> bool:
    return not path.startswith(_OF_PACKAGES) or path.startswith(_NOT_OF_PACKAGES)


@dataclass(frozen=True)
class FileStore:
    """Below the cache, for its owner alone: what packages bring, of all hosts, in ``folder``, and what is one host's own in ``own``."""

    folder: Path
    own: Path

    @classmethod
    def of(cls, cache: Cache, host: str) -> FileStore:
        place = cache.root / "rehearsals"
        store = cls(place / "files", place / "hosts" / hashlib.sha256(host.encode()).hexdigest()[:16])
        store.folder.mkdir(parents=True, exist_ok=True)
        store.own.mkdir(parents=True, exist_ok=True)
        place.chmod(0o700)
        return store

    def place(self, path: str, digest: str) -> Path:
        """Where the content of the file ``path`` is kept."""
        return (self.own if _is_of_host(path) else self.folder) / digest[:2] / digest

    def lacks(self, entries: t.Iterable[TreeEntry]) -> list[TreeEntry]:
        """Those files whose content is not here, each content once."""
        wanted: dict[Path, TreeEntry] = {}
        for entry in entries:
            place = self.place(entry.path, entry.content)
            if entry.kind == FILE and place not in wanted and not place.is_file():
                wanted[place] = entry
        return list(wanted.values())

    def take(self, archive: Path) -> None:
        """Store the files of an archive under the digests that they really have.  Raises HostError if it is none."""
        try:
            with tarfile.open(archive, "r:gz") as opened:
                for member in opened:
                    content = opened.extractfile(member) if member.isreg() else None
                    if content is not None:
                        self._store(f"/{member.name}", content)
        except (OSError, EOFError, tarfile.TarError) as error:
            raise HostError(f"The archive of the host's files cannot be read: {error}.") from error

    def pack(self, entries: t.Sequence[TreeEntry], archive: Path, first: int, most: int) -> int:
        """Write an archive for `take()` of the files from number ``first`` on, of about ``most`` bytes; the number of the next one."""
        number, left = first, most
        with tarfile.open(archive, "w:gz", compresslevel=1) as opened:
            while number < len(entries) and left > 0:
                entry = entries[number]
                number += 1
                place = self.place(entry.path, entry.content)
                if place.is_file():
                    opened.add(place, entry.path.lstrip("/"))
                    left -= place.stat().st_size
        return number

    def _store(self, path: str, content: t.IO[bytes]) -> None:
        partial = self.own / f".{os.getpid()}"
        digest = hashlib.sha256()
        with partial.open("wb") as file:
            while piece := content.read(PIECE):
                digest.update(piece)
                file.write(piece)
        place = self.place(path, digest.hexdigest())
        place.parent.mkdir(exist_ok=True)
        partial.replace(place)

    def forget(self) -> None:
        """Delete what is the host's own."""
        shutil.rmtree(self.own, ignore_errors=True)

    def lay_out(self, entries: t.Sequence[TreeEntry], root: Path) -> list[str]:
        """The files, folders and links below ``root`` with their owners and modes; the paths of those that the host did not send."""
        absent = []
        for entry in sorted(entries, key=lambda one: one.path):
            place = root / entry.path.lstrip("/")
            if place.is_symlink() or (place.exists() and entry.kind != FOLDER):
                continue
            if not _make_parents(root, place):
                continue
            if entry.kind == FOLDER:
                place.mkdir(exist_ok=True)
            elif entry.kind == LINK:
                place.symlink_to(entry.content)
            elif self.place(entry.path, entry.content).is_file():
                shutil.copyfile(self.place(entry.path, entry.content), place)
            else:
                absent.append(entry.path)
                continue
            os.chown(place, entry.uid, entry.gid, follow_symlinks=False)
            if entry.kind != LINK:
                place.chmod(entry.mode)
        return absent


def _make_parents(root: Path, place: Path) -> bool:
    """False where a link is above it: what is behind it is listed by its real path, and nothing is written outside of ``root``."""
    for above in (*reversed(place.relative_to(root).parents),):
        step = root / above
        if step.is_symlink():
            return False
        step.mkdir(exist_ok=True)
    return True

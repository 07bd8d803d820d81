# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A part of a file system as a list of what it holds, and the files that were chosen from the list as an archive, in pieces."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
import os
import stat as stat_bits
import tarfile
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host import mounts
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.regular_file import open_regular

MOST_ENTRIES = 500_000
DEEPEST = 64
LARGEST = 512 << 20
"""Bytes of one file: an initramfs with everything in it has half of that."""
LARGEST_REWRITTEN = 1 << 20
PIECE = 1 << 20
FILE, FOLDER, LINK = "file", "folder", "link"
MOUNTED = "another file system is mounted there"


@dataclasses.dataclass(frozen=True)
class TreeEntry:
    """A file, folder or link at its real place.  ``content`` is a file's SHA-256 or a link's target."""

    path: str
    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    content: str

    def plain(self) -> list[t.Any]:
        return list(dataclasses.astuple(self))


@dataclasses.dataclass(frozen=True)
class LeftOutFile:
    """What is there and is not in the list, and why."""

    path: str
    why: str


Choice = t.Callable[[str, bool], t.Optional[bool]]
"""Of a path, and whether it is a folder: True to take it, None to leave it out silently, False to leave it out and say so."""


Rewrite = t.Callable[[str, bytes], bytes]
"""What a file's content becomes; only asked for files of at most `LARGEST_REWRITTEN` bytes."""


class TreeList:
    """What was found below the places that were asked for.  ``rewritten``: files that are listed with another content than they have."""

    def __init__(self, root: str, choice: Choice, rewrite: Rewrite, most_bytes: int) -> None:
        self._root = root.rstrip("/")
        self._rewrite = rewrite
        self.rewritten: set[str] = set()
        self._choice = choice
        self._mounts = mounts.below(root)
        self._left = most_bytes
        self._most = most_bytes
        self.entries: dict[str, TreeEntry] = {}
        self.left_out: list[LeftOutFile] = []

    def add_tree(self, top: str) -> None:
        """Everything below ``top`` up to where something else is mounted, links unfollowed.  Raises HostError where there is too much."""
        status = self._status(top)
        if status is None:
            return
        pending = [(top, status, 0)]
        while pending:
            path, status, depth = pending.pop()
            is_folder = stat_bits.S_ISDIR(status.st_mode)
            chosen = self._choice(path, is_folder)
            if chosen is False:
                self.left_out.append(LeftOutFile(path, "it may hold secrets"))
            if not chosen:
                continue
            self._add(path, status)
            if not is_folder:
                continue
            if depth == DEEPEST:
                self.left_out.append(LeftOutFile(path, f"it is more than {DEEPEST} folders deep"))
                continue
            for name in self._names(path):
                place = f"{path}/{name}"
                below = self._status(place)
                if below is None:
                    continue
                if self._is_mounted(place, below, status):
                    self.left_out.append(LeftOutFile(place, MOUNTED))
                else:
                    pending.append((place, below, depth + 1))

    def _is_mounted(self, path: str, status: os.stat_result, above: os.stat_result) -> bool:
        """On an overlay one file system has several device numbers, as with subvolumes of btrfs: they count where nothing else is known."""
        return status.st_dev != above.st_dev if self._mounts is None else path in self._mounts

    def add_file(self, path: str) -> None:
        """One file, with the folders above it."""
        parts = path.split("/")
        for number in range(2, len(parts) + 1):
            place = "/".join(parts[:number])
            status = self._status(place)
            if status is None:
                return
            if place not in self.entries:
                self._add(place, status)
            if stat_bits.S_ISLNK(status.st_mode) and number < len(parts):
                return

    def _add(self, path: str, status: os.stat_result) -> None:
        if len(self.entries) >= MOST_ENTRIES:
            raise HostError(f"The host has more than {MOST_ENTRIES} files that decide its boot.", "Leave some out with exclude.")
        mode, owner = stat_bits.S_IMODE(status.st_mode), (status.st_uid, status.st_gid)
        if stat_bits.S_ISDIR(status.st_mode):
            self.entries[path] = TreeEntry(path, FOLDER, mode, *owner, 0, "")
        elif stat_bits.S_ISLNK(status.st_mode):
            try:
                self.entries[path] = TreeEntry(path, LINK, 0o777, *owner, 0, os.readlink(self._root + path))
            except OSError:
                return
        elif stat_bits.S_ISREG(status.st_mode):
            self._add_file(path, mode, owner, status.st_size)

    def _add_file(self, path: str, mode: int, owner: tuple[int, int], size: int) -> None:
        if size > LARGEST:
            self.left_out.append(LeftOutFile(path, f"it has more than {LARGEST >> 20} MiB"))
            return
        self._left -= size
        if self._left < 0:
            raise HostError(
                f"size_limit: what decides this host's boot has more than {self._most >> 20} MiB.",
                "Raise size_limit, or leave out folders that no unit, rule or hook needs with exclude.",
            )
        try:
            digest, read, is_rewritten = _digest_of(self._root + path, path, self._rewrite)
        except (OSError, HostError) as error:
            self.left_out.append(LeftOutFile(path, f"it cannot be read: {error}"))
            return
        if is_rewritten:
            self.rewritten.add(path)
        self.entries[path] = TreeEntry(path, FILE, mode, *owner, read, digest)

    def _status(self, path: str) -> os.stat_result | None:
        try:
            return os.lstat(self._root + path)
        except OSError:
            return None

    def _names(self, path: str) -> list[str]:
        try:
            return sorted(os.listdir(self._root + path), reverse=True)
        except OSError:
            self.left_out.append(LeftOutFile(path, "it cannot be listed"))
            return []


def _digest_of(place: str, path: str, rewrite: Rewrite) -> tuple[str, int, bool]:
    """SHA-256 and size of a regular file as it is packed, and whether that is another content.  Raises OSError, or HostError."""
    digest, size = hashlib.sha256(), 0
    with os.fdopen(open_regular(place, path, LARGEST), "rb") as file:
        piece = file.read(LARGEST_REWRITTEN + 1)
        if len(piece) <= LARGEST_REWRITTEN:
            written = rewrite(path, piece)
            return hashlib.sha256(written).hexdigest(), len(written), written != piece
        while piece:
            digest.update(piece)
            size += len(piece)
            piece = file.read(PIECE)
    return digest.hexdigest(), size, False


def write_list(place: str, listed: TreeList, facts: t.Mapping[str, t.Any]) -> int:
    """Write the list and the facts for the owner of the file's folder alone; the size of what was written."""
    document = {
        **facts,
        "entries": [entry.plain() for entry in listed.entries.values()],
        "left_out": [dataclasses.asdict(one) for one in listed.left_out],
    }
    with _for_owner_of_folder(place) as file, gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6) as packed:
        packed.write(json.dumps(document, separators=(",", ":")).encode("utf-8", "surrogateescape"))
    return os.stat(place).st_size


def write_piece(root: str, place: str, wanted: t.Sequence[str], rewrite: Rewrite, first: int, most: int) -> int:
    """Write an archive (tar, gzip) of the wanted files from number ``first`` on, of about ``most`` bytes; the number of the next one.

    One that has vanished meanwhile is not in it.
    """
    number, left = first, most
    with _for_owner_of_folder(place) as file, tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as archive:
        while number < len(wanted) and left > 0:
            path = wanted[number]
            number += 1
            try:
                handle = open_regular(root.rstrip("/") + path, path, LARGEST)
            except (OSError, HostError):
                continue
            with os.fdopen(handle, "rb") as content:
                entry = tarfile.TarInfo(path.lstrip("/"))
                entry.size = os.fstat(handle).st_size
                if entry.size <= LARGEST_REWRITTEN:
                    written = rewrite(path, content.read(LARGEST_REWRITTEN))
                    entry.size = len(written)
                    archive.addfile(entry, io.BytesIO(written))
                else:
                    archive.addfile(entry, content)
                left -= entry.size
    return number


def read_wanted(place: str) -> list[str]:
    """The paths that the controller asks for."""
    with open(place, encoding="utf-8", errors="surrogateescape") as file:
        return [str(path) for path in json.load(file)]


def _for_owner_of_folder(place: str) -> t.BinaryIO:
    """A new file that only the owner of its folder can read: with become that is who connects, and fetches it."""
    handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    owner = os.stat(os.path.dirname(place))
    if os.geteuid() == 0:
        os.fchown(handle, owner.st_uid, owner.st_gid)
    return os.fdopen(handle, "wb")

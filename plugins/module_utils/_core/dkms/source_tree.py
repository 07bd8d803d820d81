# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a source package, and one digest of names, executable bits and contents."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, cut

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

# Files of version control and caches are not part of a package.
IGNORED_FOLDERS = frozenset((".git", ".hg", ".svn", "__pycache__"))

LARGEST = 192 << 20
"""Bytes of a package's sources: proprietary drivers, with their objects, have half of that."""


@dataclasses.dataclass(frozen=True)
class SourceFile:
    """A file by its path inside the package."""

    name: str
    executable: bool
    content: bytes

    @property
    def mode(self) -> int:
        return 0o755 if self.executable else 0o644


def read_files(host: Host, folder: str) -> tuple[SourceFile, ...]:
    """The files below a folder, in the order of their names.  A link to a file counts as that file.

    Raises HostError for anything else: a link to a folder, a broken link, a device, a socket.
    """
    found, left = [], LARGEST
    for path in host.files_below(folder):
        name = path[len(folder.rstrip("/")) + 1 :]
        if IGNORED_FOLDERS.intersection(name.split("/")[:-1]):
            continue
        status = host.stat(path)
        if status is None or not host.is_file(path):
            raise HostError(f"{path} is not a file, so it cannot be part of a source package.", "Remove it, or replace it by a file.")
        found.append(SourceFile(name, bool(status.st_mode & 0o100), host.read_large(path)))
        left -= len(found[-1].content)
        if left < 0:
            raise HostError(
                f"{folder} has more than {LARGEST >> 20} MiB, so it cannot be a source package.", "Name the folder of one package."
            )
    return tuple(sorted(found, key=lambda file: file.name))


def digest(files: t.Iterable[SourceFile]) -> str:
    """SHA-256 over names, executable bits and contents."""
    whole = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.name):
        name = file.name.encode("utf-8", "surrogateescape")
        for part in (name, b"x" if file.executable else b"-", file.content):
            whole.update(len(part).to_bytes(8, "big"))
            whole.update(part)
    return whole.hexdigest()


def pack(files: t.Iterable[SourceFile]) -> bytes:
    """An archive that is byte for byte the same for the same files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in sorted(files, key=lambda file: file.name):
            member = tarfile.TarInfo(file.name)
            member.size, member.mode = len(file.content), file.mode
            archive.addfile(member, io.BytesIO(file.content))
    return buffer.getvalue()


def unpack(archive: bytes) -> tuple[SourceFile, ...]:
    """The files of an archive from `pack`.  Names that lead out of the package are refused."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as opened:
            return tuple(_member(opened, member) for member in opened.getmembers())
    except tarfile.TarError as error:
        raise HostError(f"The archive of the source package cannot be read: {error}.", "Run the play again.") from error


def write_files(host: Host, files: t.Iterable[SourceFile], folder: str) -> None:
    """Write the files to a folder."""
    for file in files:
        path = f"{folder}/{file.name}"
        host.make_directory(path.rsplit("/", 1)[0])
        host.write_atomic(path, file.content, file.mode)


def _member(opened: tarfile.TarFile, member: tarfile.TarInfo) -> SourceFile:
    content = opened.extractfile(member) if member.isfile() else None
    if content is None or member.issparse() or member.name.startswith("/") or ".." in member.name.split("/"):
        raise HostError(f"The archive of the source package contains '{cut(member.name)}', which is not a file inside it.")
    return SourceFile(member.name, bool(member.mode & 0o100), content.read())

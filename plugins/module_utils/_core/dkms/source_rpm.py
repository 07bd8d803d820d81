# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source of a kernel in a package of sources of RPM: an archive, and patches that are put on top of it before it is built.

Nothing is patched here: files that a patch would change are named, and what they are before that is of no use.
"""

from __future__ import annotations

import re
import tarfile
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.driver_files import (
    ARCHIVE,
    DRIVERS,
    LARGEST_ARCHIVE,
    MAKEFILE,
    Keeper,
    keep_from_archive,
    members_of,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.rpm_file import files_of, read_rpm
from ansible_collections.vfio.variants.plugins.module_utils._core.host.compression import CHUNK, unpacked_if_packed
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import CorruptFileError, HostError

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.rpm_file import RpmContent, RpmFile
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.compression import FileReader, Unpacker
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

Patched = t.Mapping[str, str]
"""Files of the drivers, by their path in the tree, that a patch changes, and the patch's name."""
_PATCH = re.compile(r"^patch-|\.(?:patch|diff)(?:\.(?:xz|gz|bz2|zst))?$")
# The lines before what is changed in a file; the first part of a path says only which of both states it is.
_CHANGED = re.compile(rb"^(?:(?:---|\+\+\+) [^/ \n]+/|(?:rename|copy) (?:from|to) )([^ \t\r\n]+)", re.MULTILINE)
_GIT = re.compile(rb"^diff --git [^/ \n]+/([^ \n]+) [^/ \n]+/([^ \t\r\n]+)", re.MULTILINE)
_LONGEST_LINE = 1 << 16
_KERNEL = re.compile(r"^VERSION[ \t]*=", re.MULTILINE)


def read_source_rpm(host: Host, path: str) -> tuple[RpmFile, Keeper, Patched]:
    """The package, the files of the drivers in the kernel's archive in it, and those of them that its patches change.

    Raises HostError if it has no source of a kernel, or cannot be read.
    """
    package = read_rpm(host, path)
    if not package.has_sources:
        raise HostError(f"{path} is not a package of sources.", "Give the package whose name ends in .src.rpm, a folder, or an archive.")
    kept: Keeper | None = None
    patched: dict[str, str] = {}
    try:
        with files_of(host, path, package) as files:
            for name, content in files:
                if ARCHIVE.search(name) and "patch" not in name:
                    kept = kept or _kernel_in(host, content, path)
                elif ARCHIVE.search(name) or _PATCH.search(name):
                    patched.update({changed: one for changed, one in _changes(host, content, name) if changed not in patched})
    except (tarfile.TarError, CorruptFileError, EOFError, OSError) as error:
        raise HostError(f"{path} cannot be unpacked: {error}.", "Download it again.") from error
    if kept is None:
        raise HostError(
            f"{path} has no archive with the source of a kernel in it.", "Give a folder or an archive with the source of the kernel."
        )
    return package, kept, patched


def _kernel_in(host: Host, content: RpmContent, path: str) -> Keeper | None:
    """The files of the drivers; None if the archive is of something else, such as the checks of a kernel's interface."""
    keeper = Keeper(path)
    keep_from_archive(host, t.cast("t.BinaryIO", content), keeper)
    return keeper if _KERNEL.search(keeper.files.get(MAKEFILE, b"").decode("utf-8", "replace")) else None


def _changes(host: Host, content: RpmContent, name: str) -> list[tuple[str, str]]:
    """What a patch, or an archive of them, changes of the drivers, and the name of the patch."""
    with unpacked_if_packed(host, t.cast("t.BinaryIO", content), LARGEST_ARCHIVE) as stream:
        if not ARCHIVE.search(name):
            return [(changed, name) for changed in _changed(stream)]
        patches = ((member.name, patch) for member, patch in members_of(stream) if patch is not None)
        return [(changed, patch_name) for patch_name, patch in patches for changed in _changed(patch)]


def _changed(stream: FileReader | Unpacker | t.IO[bytes]) -> t.Iterator[str]:
    rest = b""
    while piece := stream.read(CHUNK):
        *whole, rest = (rest + piece).rsplit(b"\n", 1)
        # No file has a longer name.
        rest = rest[:_LONGEST_LINE]
        yield from _named(whole[0] if whole else b"")
    yield from _named(rest)


def _named(lines: bytes) -> t.Iterator[str]:
    for found in (*_CHANGED.findall(lines), *(name for names in _GIT.findall(lines) for name in names)):
        name = found.decode("utf-8", "replace")
        if name.startswith(f"{DRIVERS}/"):
            yield name

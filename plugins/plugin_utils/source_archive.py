# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A source package on the controller: what is known of it, and the archive that carries it to a host."""

from __future__ import annotations

import dataclasses
import functools
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import CONF, MANIFEST, no_folder
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.source_tree import SourceFile, digest, pack, read_files
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, cut
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.plugin_utils.once_per_run import folder_of_run, once_per_run


@dataclasses.dataclass(frozen=True)
class SourceArchive:
    """The files of a package's folder as they are when this is made."""

    folder: Path
    files: tuple[SourceFile, ...]

    @classmethod
    def read(cls, folder: Path) -> SourceArchive:
        """Raises HostError when the folder is not a DKMS source package."""
        place = folder.resolve()
        if place.is_file():
            raise no_folder(str(folder))
        if not (place / CONF).is_file():
            raise HostError(
                f"source: there is no {cut(str(folder))}/{CONF} on the controller.", "Name the folder that holds the package's dkms.conf."
            )
        return cls(folder, read_files(Host(), str(place)))

    @functools.cached_property
    def digest(self) -> str:
        return digest(self.files)

    @property
    def conf(self) -> str:
        return self._text(CONF) or ""

    @property
    def manifest(self) -> str | None:
        return self._text(MANIFEST)

    def pack(self) -> bytes:
        return pack(self.files)

    def _text(self, name: str) -> str | None:
        return next((file.content.decode("utf-8", "surrogateescape") for file in self.files if file.name == name), None)


def described(source: str, folder: Path) -> dict[str, t.Any]:
    """A package as the modules take it; read once for all hosts of a run."""

    def read() -> dict[str, t.Any]:
        archive = SourceArchive.read(folder)
        return {"source": source, "digest": archive.digest, "conf": archive.conf, "manifest": archive.manifest}

    found: dict[str, t.Any] = once_per_run(f"package {source} {folder}", read)
    return found


def archive_of_run(folder: Path, expected: str) -> str:
    """The path of the one file, packed once for all hosts of a run, that carries the package with the digest ``expected``.

    Raises HostError if the sources were changed since that was computed.
    """

    def pack_it() -> str:
        archive = SourceArchive.read(folder)
        if archive.digest != expected:
            raise HostError(f"source: {cut(str(folder))} was changed while the run went on.", "Run it again.")
        place = folder_of_run() / f"vfio-variants-{expected}.tar"
        place.write_bytes(archive.pack())
        return str(place)

    path: str = once_per_run(f"archive {folder} {expected}", pack_it)
    return path

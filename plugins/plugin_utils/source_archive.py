# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A source package on the controller: what is known of it, and the archive that carries it to a host."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import CONF, MANIFEST
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.source_tree import SourceFile, digest, pack, read_files
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, cut
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

OWN_PACKAGES = Path(__file__).parents[2] / "files" / "kernel"


@dataclasses.dataclass(frozen=True)
class SourceArchive:
    """The files of a package's folder as they are when this is made."""

    folder: Path
    files: tuple[SourceFile, ...]

    @classmethod
    def read(cls, folder: Path) -> SourceArchive:
        """Raises HostError when the folder is not a DKMS source package."""
        place = folder.resolve()
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


def own_package(name: str) -> Path | None:
    """The folder of one of the collection's own packages, None when it has none of that name."""
    folder = OWN_PACKAGES / name
    return folder if "/" not in name and (folder / CONF).is_file() else None

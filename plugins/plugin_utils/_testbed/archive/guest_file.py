# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files to put into a guest's root tree."""

from __future__ import annotations

import io
import tarfile
import typing as t
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class GuestFile:
    """A regular file, or a symbolic link when `link` is set; owned by root. `path` is absolute in the guest."""

    path: str
    content: str = ""
    mode: int = 0o644
    link: str = ""

    @classmethod
    def masked_unit(cls, unit: str) -> GuestFile:
        return cls(f"/etc/systemd/system/{unit}", link="/dev/null")


def write_archive(files: t.Iterable[GuestFile], archive: Path) -> None:
    """Write a tar archive that holds exactly these files and no folder, so that unpacking it changes no folder's mode."""
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
        for file in files:
            member = tarfile.TarInfo(file.path.lstrip("/"))
            member.mode = file.mode
            content = file.content.encode("utf-8")
            if file.link:
                member.type, member.linkname, content = tarfile.SYMTYPE, file.link, b""
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))

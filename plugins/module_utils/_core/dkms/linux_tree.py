# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of a kernel's source, the version, the licence and everything of its VFIO PCI drivers: from a folder, an archive, or a package."""

from __future__ import annotations

import base64
import dataclasses
import re
import tarfile
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.driver_files import (
    ARCHIVE,
    DRIVERS,
    LARGEST_SOURCE,
    MAKEFILE,
    SINGLE,
    Keeper,
    is_wanted,
    keep_from_archive,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.rpm_file import MAGIC
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.source_rpm import read_source_rpm
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import CorruptFileError, HostError, cut, shown

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

_AGAIN = "Install or download it again."
_CANDIDATE = re.compile(r"^EXTRAVERSION[ \t]*=[ \t]*(-rc\d+)\b", re.MULTILINE)
_LACKS = f"it has no {MAKEFILE} with a VERSION"
_NUMBER = re.compile(r"^(VERSION|PATCHLEVEL|SUBLEVEL)[ \t]*=[ \t]*(\d+)[ \t]*$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class LinuxTree:
    """``files`` by their path in the tree; ``where`` is the folder, the archive or the package, which ``package`` names.

    ``patched``: files of the drivers that the package changes by a patch before it is built, and that patch.
    """

    where: str
    files: t.Mapping[str, bytes]
    package: str | None = None
    patched: t.Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def version(self) -> str | None:
        """Such as 6.12.117 or 7.3.0-rc4, without what a distribution adds to it; None if the Makefile does not say."""
        found = dict(_NUMBER.findall(self.text(MAKEFILE)))
        candidate = _CANDIDATE.search(self.text(MAKEFILE))
        more = candidate[1] if candidate else ""
        return f"{found['VERSION']}.{found['PATCHLEVEL']}.{found['SUBLEVEL']}{more}" if len(found) == 3 else None

    @property
    def has_code(self) -> bool:
        """False for what packages of headers have: every Makefile and Kconfig, and nothing that these build."""
        return any(name.endswith(".c") for name in self.files) or not any(name.endswith("/Kconfig") for name in self.files)

    def text(self, path: str) -> str:
        return self.files.get(path, b"").decode("utf-8", "surrogateescape")

    def encoded(self) -> t.Any:
        files = {name: base64.b64encode(content).decode() for name, content in self.files.items()}
        return {"where": self.where, "files": files, "package": self.package, "patched": dict(self.patched)}

    @classmethod
    def decoded(cls, value: t.Any) -> LinuxTree:
        files = {str(name): base64.b64decode(content) for name, content in value["files"].items()}
        return cls(str(value["where"]), files, value["package"], {str(name): str(patch) for name, patch in value["patched"].items()})


class NotLinuxError(HostError):
    """What is there can be read, and is not the source of a kernel."""


def read_tree(host: Host, where: str) -> LinuxTree:
    """The source at ``where``.  Raises NotLinuxError if that is not a kernel's source, HostError if it cannot be read."""
    tree = _from_folder(host, where) if host.is_dir(where) else _from_file(host, where)
    if tree.version is None:
        raise NotLinuxError(f"{cut(where)} is not the source of a kernel: {_LACKS}.", _instead(host, where))
    return tree


def _instead(host: Host, where: str) -> str:
    """What to give, by what is in the folder."""
    if not host.is_dir(where):
        return "Give an archive whose one folder is a kernel's source tree, or unpack it and give that folder."
    here = where.rstrip("/")
    inside = [name for name in host.names(here) if ARCHIVE.search(name) or host.is_file(f"{here}/{name}/{DRIVERS}/{MAKEFILE}")]
    return f"Give {cut(f'{here}/{inside[0]}')}, if it is that." if inside else "Give a kernel's source tree."


def _from_folder(host: Host, folder: str) -> LinuxTree:
    here = folder.rstrip("/")
    names = [name for name in sorted(SINGLE) if host.is_file(f"{here}/{name}")]
    for one in host.names(f"{here}/{DRIVERS}"):
        place = f"{here}/{DRIVERS}/{one}"
        below = [f"{one}/{name}" for name in host.names(place)] if host.is_dir(place) and host.link(place) is None else [one]
        names += [f"{DRIVERS}/{name}" for name in below if is_wanted(f"{DRIVERS}/{name}")]
    keeper = Keeper(folder)
    for name in names:
        # A link could lead anywhere; a kernel's source has none there.
        if host.is_file(f"{here}/{name}") and host.link(f"{here}/{name}") is None:
            keeper.add(name, host.read_bytes(f"{here}/{name}", LARGEST_SOURCE))
    return LinuxTree(folder, keeper.files)


def _from_file(host: Host, path: str) -> LinuxTree:
    if not host.is_file(path):
        raise HostError(f"There is no {shown(path)} on this host.", "Give a folder or an archive with the source of a kernel.")
    if host.head(path, len(MAGIC)) == MAGIC:
        package, files, patched = read_source_rpm(host, path)
        return LinuxTree(path, files, package.full_name, patched)
    keeper = Keeper(path)
    try:
        with host.open(path) as file:
            keep_from_archive(host, file, keeper)
    except tarfile.ReadError as error:
        # Nothing was read: the file does not begin as an archive does.
        is_none = not keeper.files and not str(error).startswith("unexpected end")
        why = f"is not a tar archive ({error})" if is_none else f"cannot be unpacked: {error}"
        raise HostError(f"{path} {why}.", _AGAIN if not is_none else "Give a folder, a tar archive or a package of sources.") from error
    except (tarfile.TarError, CorruptFileError, EOFError, OSError) as error:
        raise HostError(f"{path} cannot be unpacked: {error}.", _AGAIN) from error
    return LinuxTree(path, keeper.files)

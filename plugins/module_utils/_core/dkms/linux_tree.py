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
    TOO_LARGE,
    Keeper,
    is_folder_of_driver,
    is_wanted,
    keep_from_archive,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.rpm_file import MAGIC
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.source_rpm import read_source_rpm
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import CorruptFileError, HostError, cut, shown
from ansible_collections.vfio.variants.plugins.module_utils._core.host.links import without_links

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
    ``left_out``: folders and files of the drivers, and the top Makefile, that are there and were not read, and why.
    """

    where: str
    files: t.Mapping[str, bytes]
    package: str | None = None
    patched: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    left_out: t.Mapping[str, str] = dataclasses.field(default_factory=dict)

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
        return any(name.endswith(".c") for name in (*self.files, *self.left_out)) or not any(
            name.endswith("/Kconfig") for name in self.files
        )

    def text(self, path: str) -> str:
        return self.files.get(path, b"").decode("utf-8", "surrogateescape")

    def encoded(self) -> t.Any:
        files = {name: base64.b64encode(content).decode() for name, content in self.files.items()}
        return {
            "where": self.where,
            "files": files,
            "package": self.package,
            "patched": dict(self.patched),
            "left_out": dict(self.left_out),
        }

    @classmethod
    def decoded(cls, value: t.Any) -> LinuxTree:
        files = {str(name): base64.b64decode(content) for name, content in value["files"].items()}
        patched, left_out = ({str(name): str(what) for name, what in value[key].items()} for key in ("patched", "left_out"))
        return cls(str(value["where"]), files, value["package"], patched, left_out)


class NotLinuxError(HostError):
    """What is there can be read, and is not the source of a kernel."""


def read_tree(host: Host, where: str) -> LinuxTree:
    """The source at ``where``.  Raises NotLinuxError if that is not a kernel's source, HostError if it cannot be read."""
    tree = _from_folder(host, where) if host.is_dir(where) else _from_file(host, where)
    if tree.version is None:
        lacks = f"its {MAKEFILE} {tree.left_out[MAKEFILE]}" if MAKEFILE in tree.left_out else _LACKS
        raise NotLinuxError(f"{cut(where)} is not the source of a kernel: {lacks}.", _instead(host, where))
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
    keeper = Keeper(folder)
    names = sorted(SINGLE)
    for one in host.names(f"{here}/{DRIVERS}"):
        place = f"{DRIVERS}/{one}"
        why = _why_not_followed(host, here, place) if is_folder_of_driver(place) else None
        if why is not None:
            keeper.leave_out(place, why)
        names += (
            [f"{place}/{name}" for name in host.names(f"{here}/{place}")] if why is None and host.is_dir(f"{here}/{place}") else [place]
        )
    for name in filter(is_wanted, names):
        why = _why_not_followed(host, here, name)
        if why is None and host.is_file(f"{here}/{name}"):
            status = host.stat(f"{here}/{name}")
            if status is None or status.st_size <= LARGEST_SOURCE:
                keeper.add(name, host.read_bytes(f"{here}/{name}", LARGEST_SOURCE))
                continue
            why = TOO_LARGE
        if why is not None:
            keeper.leave_out(name, why)
    return LinuxTree(folder, keeper.files, left_out=keeper.left_out)


def _why_not_followed(host: Host, folder: str, name: str) -> str | None:
    """Why a path in the tree is not read, if that is a link: what lies elsewhere on a host is not of that source."""
    if host.link(f"{folder}/{name}") is None:
        return None
    place, tree = without_links(f"{folder}/{name}", host.link), without_links(folder or "/", host.link)
    if place is None or not host.exists(place):
        return "is a link that leads to nothing"
    return None if place.startswith(f"{tree}/") else f"is a link to {cut(place)}, which is not in that folder"


def _from_file(host: Host, path: str) -> LinuxTree:
    if not host.is_file(path):
        raise HostError(f"There is no {shown(path)} on this host.", "Give a folder or an archive with the source of a kernel.")
    if host.head(path, len(MAGIC)) == MAGIC:
        package, kept, patched = read_source_rpm(host, path)
        return LinuxTree(path, kept.files, package.full_name, patched, kept.left_out)
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
    return LinuxTree(path, keeper.files, left_out=keeper.left_out)

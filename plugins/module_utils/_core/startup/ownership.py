# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files are as their package brought them: by the digests of dpkg's, pacman's or rpm's database, and not by names.

A database is read once, and only the digests of files that are asked for are computed.
"""

from __future__ import annotations

import hashlib
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.links import without_links
from ansible_collections.vfio.variants.plugins.module_utils._core.host.read_log import file_version
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import package_databases
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.package_paths import plain

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree

PACKAGED = ("/usr/bin/", "/usr/sbin/", "/usr/lib/", "/usr/lib64/", "/usr/libexec/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/usr/share/")
LARGEST = 1 << 30
PIECE = 1 << 20
_DIGESTS = {32: "md5", 40: "sha1", 64: "sha256", 96: "sha384", 128: "sha512"}


FileStamp = tuple[str, int, int, int, int]
"""A path, and the identity of the file there."""


class Ownership:
    """The package databases of one tree.  An initramfs has none."""

    def __init__(self, tree: FileTree, digests: t.Mapping[str, frozenset[str]] | None, known: dict[FileStamp, bool] | None = None) -> None:
        """``known`` are the files that were compared, as they were then, whoever has read them."""
        self._tree = tree
        self._digests = digests
        self._known: dict[FileStamp, bool] = {} if known is None else known

    @classmethod
    def of(cls, tree: FileTree) -> Ownership:
        if not isinstance(tree, Host):
            return cls(tree, None)
        host = tree
        known: dict[FileStamp, bool] = {}
        # Not the object itself: it reads from this host, which records what is read.
        return cls(host, *host.once("ownership", package_databases.PLACES, lambda: (package_databases.read(host), known)))

    @property
    def is_readable(self) -> bool:
        """Whether there is a database that says which file is whose."""
        return self._digests is not None

    def has(self, path: str) -> bool:
        """Whether a package has a file of this path."""
        return self._digests is not None and plain(path) in self._digests

    def is_intact(self, path: str) -> bool:
        """Whether a package has the file, with this content."""
        if self._digests is None:
            return False
        wanted = self._digests.get(plain(path))
        if not wanted:
            return False
        status = self._tree.stat(path) if isinstance(self._tree, Host) else None
        if status is None:
            return False
        version = (path, *file_version(status))
        if version not in self._known:
            self._known[version] = bool(wanted & self._digests_of(path, {_DIGESTS.get(len(one), "") for one in wanted}))
        return self._known[version]

    def is_trusted(self, path: str) -> bool:
        """The same; without a database, whether it is where packages have their files."""
        return self.is_intact(path) if self.is_readable else path.startswith(PACKAGED)

    def _digests_of(self, path: str, kinds: t.Collection[str]) -> frozenset[str]:
        if not isinstance(self._tree, Host) or not self._tree.is_file(path):
            return frozenset()
        computed = [hashlib.new(kind, usedforsecurity=False) for kind in kinds if kind]
        try:
            with self._tree.open(path) as file:
                for _piece in range(LARGEST // PIECE):
                    piece = file.read(PIECE)
                    if not piece:
                        break
                    for one in computed:
                        one.update(piece)
        except (HostError, OSError):
            return frozenset()
        return frozenset(one.hexdigest() for one in computed)

    def resolved(self, path: str) -> str:
        """The path without symbolic links; as it is for a loop of them."""
        return without_links(path, self._tree.link) or path

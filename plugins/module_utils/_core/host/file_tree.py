# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read access to a tree of files, on a disk or inside an initramfs image."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.links import end_of_links

NOTHING = "/dev/null"


class FileTree(t.Protocol):
    """Files below one root, by their paths on that machine (``/etc/modprobe.d``).  `Host` is one.

    A missing file is not an error, except for `read_bytes()` and `read_text()`, which raise HostError.
    """

    def shown(self, path: str) -> str:
        """How messages name a file, so that the operator can tell which tree it is in."""

    def names(self, path: str) -> tuple[str, ...]: ...

    def exists(self, path: str) -> bool: ...

    def is_file(self, path: str) -> bool: ...

    def is_dir(self, path: str) -> bool: ...

    def link(self, path: str) -> str | None: ...

    def link_name(self, path: str) -> str | None: ...

    def read_bytes(self, path: str) -> bytes: ...

    def read_text(self, path: str) -> str: ...

    def head(self, path: str, most: int) -> bytes | None:
        """At most the first ``most`` bytes of a regular file; None if it is not one, or cannot be read."""

    def text_or_none(self, path: str) -> str | None: ...

    def leave_out(self, path: str, why: str) -> None:
        """Raises HostError: the file exists and is not read.  A tree that goes on without such files notes it instead."""


def names_if_any(tree: FileTree, folder: str) -> tuple[str, ...]:
    """What is in it; empty if it cannot be listed."""
    try:
        return tree.names(folder)
    except HostError:
        return ()


def names_in(tree: FileTree, folder: str) -> tuple[str, ...]:
    """What is in a directory; empty if there is none.  Raises HostError if it cannot be listed."""
    return tree.names(folder) if tree.is_dir(folder) else ()


def text_in(tree: FileTree, path: str) -> str:
    """The text of a regular file; empty if there is none.  Raises HostError if it cannot be read."""
    return tree.read_text(path) if tree.is_file(path) else ""


def head_text(tree: FileTree, path: str, most: int) -> str:
    """At most the first ``most`` bytes of a regular file, as text; empty if it is not one, or cannot be read."""
    return (tree.head(path, most) or b"").decode("utf-8", "surrogateescape")


def leads_to_nothing(tree: FileTree, path: str) -> bool:
    """Whether a path is a link to /dev/null, in whatever words and over however many links; the tree need not have that node."""
    return end_of_links(path, tree.link) == NOTHING


def first_of_name(
    tree: FileTree, folders: t.Iterable[str], suffix: str, counts: t.Callable[[str], bool] = lambda _path: True
) -> dict[str, str]:
    """By name the path in the first folder that has it, be it a mask or not; ``counts`` says which paths are looked at.

    What such folders are for leaves out names that begin with a dot: systemd in files_add() of conf-files.c, netplan and NetworkManager.
    """
    found: dict[str, str] = {}
    for folder in folders:
        for name in tree.names(folder) if tree.is_dir(folder) else ():
            path = f"{folder}/{name}"
            if name.endswith(suffix) and not name.startswith(".") and name not in found and counts(path):
                found[name] = path
    return found

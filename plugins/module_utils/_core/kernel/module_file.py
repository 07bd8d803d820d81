# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel module files: their names, and whether two of them have the same content."""

from __future__ import annotations

import hashlib
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.regular_file import LARGEST_FILE

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

FILE_NAME = re.compile(r"(?P<name>[^/]+)\.ko(?:\.(?:xz|gz|zst))?")
PIECE = 1 << 20
DIGEST_BYTES = 16


def module_name(path: str) -> str | None:
    """The name of the module in a file (`vfio_pci` for `…/vfio-pci.ko.xz`); None if it is not a module's file."""
    found = FILE_NAME.fullmatch(path.rpartition("/")[2])
    return None if found is None else found["name"].replace("-", "_")


def digest_of(pieces: t.Iterable[bytes]) -> str:
    """What identifies a content, which comes in pieces."""
    found = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for piece in pieces:
        found.update(piece)
    return found.hexdigest()


def is_same_file(host: Host, one: str, other: str) -> bool:
    """Whether two files have the same content; neither is in memory as a whole.  Raises HostError if one cannot be read."""
    with host.open(one, LARGEST_FILE) as left, host.open(other, LARGEST_FILE) as right:
        while piece := left.read(PIECE):
            if piece != right.read(PIECE):
                return False
        return not right.read(1)

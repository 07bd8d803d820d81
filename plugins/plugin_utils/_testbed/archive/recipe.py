# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a root tree is made of: everything that determines its content. No file is read, nothing is run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import typing as t
from dataclasses import dataclass

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.guest_file import GuestFile

#: The tree keeps them: what is installed later is as lean and as quick. A machine that lives for minutes need not outlive a power cut.
DPKG_OPTIONS = (
    "force-unsafe-io",
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
)


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a tree's content, short of the archive's day; and what a disk made of it needs to know."""

    sources: str
    packages: tuple[str, ...]
    dpkg_options: tuple[str, ...] = DPKG_OPTIONS
    files_before_packages: tuple[GuestFile, ...] = ()
    files_after_packages: tuple[GuestFile, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()
    kernel_arguments: tuple[str, ...] = ()
    size: int = 0

    def key(self, sources: t.Iterable[bytes]) -> str:
        """Its name in the cache. `sources`: the code that turns a recipe into what is kept, which is part of what determines it."""
        digest = hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode())
        for source in sources:
            digest.update(hashlib.sha256(source).digest())
        return digest.hexdigest()[:16]

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which systemd a tree has."""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree

LIBRARY = re.compile(r"libsystemd-shared-(\d+)")
LIBRARY_FOLDERS = ("/usr/lib/systemd", "/usr/lib64/systemd", "/lib/systemd")


def version(tree: FileTree) -> int | None:
    """systemd's version, from its shared library's name; None if there is none."""
    below = tuple(f"/usr/lib/{name}/systemd" for name in tree.names("/usr/lib") if name.endswith("-linux-gnu"))
    found = (LIBRARY.match(name) for folder in (*LIBRARY_FOLDERS, *below) for name in tree.names(folder))
    return max((int(match[1]) for match in found if match), default=None)

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that udevd reads for network interfaces (systemd.link(5)): by name, without those that are masked, and with their drop-ins."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import first_of_name

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree

FOLDERS = ("/etc/systemd/network", "/run/systemd/network", "/usr/local/lib/systemd/network", "/usr/lib/systemd/network")
LASTING = tuple(folder for folder in FOLDERS if not folder.startswith("/run/"))
SUFFIX = ".link"
MOST_FILES = 500
_SETS = re.compile(r"^[ \t]*(?:SR-IOVVirtualFunctions|VirtualFunction)[ \t]*=[ \t]*\d", re.MULTILINE)


def sets_functions(text: str) -> bool:
    """Whether a file says how many virtual functions there are to be, or describes one, of which there are enough then."""
    return _SETS.search(text) is not None


def read(tree: FileTree, folders: t.Sequence[str] = LASTING) -> t.Iterator[tuple[str, ...]]:
    """Of each name the file in the first folder, and after it its drop-ins."""
    chosen = first_of_name(tree, folders, SUFFIX)
    for name in sorted(chosen)[:MOST_FILES]:
        if tree.is_file(chosen[name]):
            drop_ins = first_of_name(tree, [f"{folder}/{name}.d" for folder in folders], ".conf")
            yield (chosen[name], *(drop_ins[one] for one in sorted(drop_ins) if tree.is_file(drop_ins[one])))

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are read for one purpose and have one limit together: each may be small, and all of them fill memory."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree


LARGEST_LISTS = 64 << 10
"""Bytes of all files that name modules to load, or arguments: a line each, of which a hundred times as much is made."""


def contents(tree: FileTree, paths: t.Iterable[str], most: int) -> t.Iterator[tuple[str, bytes]]:
    """Each file and its content, in the order of ``paths``, without those with which all have more than ``most`` bytes.

    Raises HostError, naming the first of these, except in a tree that only notes what was not read.
    """
    left = most
    for path in paths:
        content = tree.read_bytes(path)
        if len(content) > left:
            tree.leave_out(path, f"the files of its kind have more than {most >> 10} KiB with it")
            continue
        left -= len(content)
        yield path, content


def lines_of_lists(tree: FileTree, paths: t.Iterable[str]) -> t.Iterator[tuple[str, int, str]]:
    """Path, number and text of each line of the files among ``paths`` that have `LARGEST_LISTS` together.  Raises as `contents()` does."""
    for path, content in contents(tree, (path for path in paths if tree.is_file(path)), LARGEST_LISTS):
        for number, line in enumerate(content.decode("utf-8", "surrogateescape").split("\n"), 1):
            yield path, number, line

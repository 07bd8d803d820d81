# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a program is where it is sought, modprobe above all: Debian has it in sbin alone, Fedora from 42 on and Arch have one folder."""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.links import end_of_links
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.made_at_boot import may_be_made

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree

_FAMILIES = (("/usr/sbin", "/sbin"), ("/usr/bin", "/bin"))
_EVERY_ROOT = ("sh", "ls", "cat", "mkdir", "rm")
"""Programs of coreutils, or a busybox's applets: where they are not, a tree has been copied in part, or has its links made at boot."""


def is_wrong(tree: FileTree, program: str) -> bool:
    """Whether a path of modprobe is not there while another one is, so that whoever runs it gets "not found".

    What /usr has is taken to be outside of it too, and the other way round: distributions have merged the two.
    """
    folder, name = posixpath.split(program)
    own = next((family for family in _FAMILIES if folder in family), None)
    if name != "modprobe" or own is None or _has(tree, own, name):
        return False
    return any(_has(tree, family, name) for family in _FAMILIES)


def is_missing(tree: FileTree, program: str) -> bool:
    """Whether there is no such program now, nor can there be when the host boots, in a tree that has its programs."""
    if posixpath.basename(program) == "modprobe":
        return is_wrong(tree, program)
    places = (program, program[len("/usr") :] if program.startswith("/usr/") else f"/usr{program}")
    ends = [end_of_links(place, tree.link) for place in places]
    is_led_on = any(end != place and may_be_made(tree, end) for end, place in zip(ends, places))
    is_there = any(map(tree.exists, places)) or is_led_on or all(may_be_made(tree, place) for place in places)
    return not is_there and _is_whole(tree)


def _is_whole(tree: FileTree) -> bool:
    return all(_has(tree, _FAMILIES[1], name) for name in _EVERY_ROOT)


def _has(tree: FileTree, folders: t.Sequence[str], name: str) -> bool:
    return any(tree.exists(f"{folder}/{name}") for folder in folders)

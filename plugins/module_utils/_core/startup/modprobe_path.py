# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a program is where it is sought, modprobe above all: Debian has it in sbin alone, Fedora from 42 on and Arch have one folder."""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.startup.made_at_boot import may_be_made

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree

_FAMILIES = (("/usr/sbin", "/sbin"), ("/usr/bin", "/bin"))
_EVERYWHERE = frozenset(
    "[ awk basename bash bootctl busybox cat chmod chown cp cut date dash dd dirname dmesg echo egrep env expr false fgrep find flock grep "
    "head hexdump id insmod ip kmod ln logger ls lsmod lspci mkdir mktemp mount mountpoint mv nice nohup od printf readlink realpath rm "
    "rmdir rmmod sed seq setpci sh sleep sort stat stty sudo sync sysctl systemctl systemd-cat systemd-run tail tee test timeout touch tr "
    "true udevadm umount uname uniq wait wc xargs".split()
)
"""Names of programs that hosts have, and their images as applets of a busybox, also where a list of files does not show that."""


def is_wrong(tree: FileTree, program: str) -> bool:
    """Whether a path of modprobe is not there while another one is, so that whoever runs it gets "not found".

    What /usr has is taken to be outside of it too, and the other way round: distributions have merged the two.
    """
    folder, name = posixpath.split(program)
    own = next((family for family in _FAMILIES if folder in family), None)
    if name != "modprobe" or own is None or _has(tree, own):
        return False
    return any(_has(tree, family) for family in _FAMILIES)


def is_missing(tree: FileTree, program: str) -> bool:
    """Whether there is no such program now, nor can there be when the host boots.

    A tree without a shell boots nothing: of the host's programs it has only some.
    """
    folder, name = posixpath.split(program)
    if name == "modprobe":
        return is_wrong(tree, program)
    if any(folder in family for family in _FAMILIES) and (name in _EVERYWHERE or not _has_shell(tree)):
        return False
    places = (program, program[len("/usr") :] if program.startswith("/usr/") else f"/usr{program}")
    return not any(map(tree.exists, places)) and not all(may_be_made(tree, place) for place in places)


def _has_shell(tree: FileTree) -> bool:
    return any(tree.exists(f"{folder}/sh") for folder in _FAMILIES[1])


def _has(tree: FileTree, folders: t.Sequence[str]) -> bool:
    return any(tree.exists(f"{folder}/modprobe") for folder in folders)

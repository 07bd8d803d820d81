# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An initramfs of initramfs-tools: `init` runs scripts/init-top in the order of its file ORDER, then loads conf/modules.

The same in 0.142 (Debian 12) and 0.148 (Debian 13).
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Coldplug, Flow, ListedModule, LoadList
from ansible_collections.vfio.variants.plugins.module_utils._core.host.together import lines_of_lists
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import SourceLine, blacklisting

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Step
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import Directive

INIT_TOP = "/scripts/init-top"
MODULES = "/conf/modules"
CONFIGURATION, ARCHITECTURE, CONFIGURATIONS = "/conf/initramfs.conf", "/conf/arch.conf", "/conf/conf.d"
IN_ORDER = re.compile(r"^/scripts/[^\s\"]+/([^\s/\"]+)", re.MULTILINE)
ASSIGNED_BLACKLIST = re.compile(r"^[ \t]*(?:export[ \t]+)?blacklist=[\"']?([^\"'\s#]*)", re.MULTILINE)
_NFS = re.compile(r"^[ \t]*(?:export[ \t]+)?BOOT=[\"']?nfs\b", re.MULTILINE)
# Run where the boot has failed (panic() in scripts/functions), and where the root is mounted over the network (scripts/nfs).
_PANIC, _OF_NFS = "panic", ("nfs-top", "nfs-premount", "nfs-bottom")
# maybe_break() in scripts/functions
BREAKS = frozenset("top modules premount mount mountroot bottom init".split())


def is_made_by(tree: FileTree) -> bool:
    """Whether initramfs-tools built the image."""
    return tree.is_file(f"{INIT_TOP}/ORDER") and tree.exists("/scripts/functions")


def flow(tree: FileTree, cmdline: Cmdline, source: str) -> Flow:
    """What the scripts do about drivers: udev's does the coldplug and waits until it has settled."""
    first = _order(tree, INIT_TOP)
    steps: list[Step] = [(Coldplug(),)] if "udev" in first else []
    listed = tuple(_listed(tree))
    if listed:
        steps.append((LoadList("conf/modules", listed),))
    doubts = list(_breaks(cmdline, source))
    if "all_generic_ide" in first and any(word.partition("=")[0] == "all_generic_ide" for word in cmdline.arguments):
        doubts.append(f"{source}: all_generic_ide makes the initramfs load ata_generic before anything else.")
    return Flow(tuple(steps), _blacklisted(tree, cmdline, source) if "blacklist" in first else (), False, tuple(doubts))


def unknown(tree: FileTree, has_udev: bool) -> Flow:
    """For an image of another generator."""
    known = "initramfs-tools, dracut, mkinitcpio and booster"
    sentence = f"{tree.shown('/init')} was built by none of {known}: what it loads, and when, cannot be determined."
    return Flow(((Coldplug(),),) if has_udev else (), doubts=(sentence,))


def _order(tree: FileTree, folder: str) -> tuple[str, ...]:
    path = f"{folder}/ORDER"
    return tuple(IN_ORDER.findall(tree.read_text(path))) if tree.is_file(path) else ()


def _listed(tree: FileTree) -> t.Iterator[ListedModule]:
    """As load_modules() in scripts/functions: `modprobe` with the words of each line, and MODPROBE_OPTIONS=-qb."""
    for _path, number, line in lines_of_lists(tree, (MODULES,)):
        words = line.split()
        if words and not words[0].startswith("#"):
            yield ListedModule(normalize_module_name(words[0]), f"{tree.shown(MODULES)}:{number}", " ".join(words[1:]), words[0])


def _blacklisted(tree: FileTree, cmdline: Cmdline, source: str) -> tuple[Directive, ...]:
    """As scripts/init-top/blacklist: the last `blacklist=`, else the assignment in a file of conf/conf.d."""
    files = [f"{CONFIGURATIONS}/{name}" for name in tree.names(CONFIGURATIONS)]
    assigned = [
        (match[1], SourceLine(tree.shown(path), number), line.strip())
        for path, number, line in lines_of_lists(tree, files)
        for match in ASSIGNED_BLACKLIST.finditer(line)
    ]
    on_cmdline = [(value, SourceLine(source, 0), cmdline.last("blacklist") or "") for value in cmdline.values("blacklist")]
    given = (*assigned, *on_cmdline)
    if not given:
        return ()
    names, place, written = given[-1]
    return tuple(blacklisting(name, place, written) for name in names.split(",") if name)


def _breaks(cmdline: Cmdline, source: str) -> t.Iterator[str]:
    for word in cmdline.arguments:
        name, equals, value = word.partition("=")
        if name == "break" and (not equals or BREAKS.intersection(value.split(","))):
            yield f"{source}: {word} opens a shell in the initramfs, where anything may happen."


def scripts(tree: FileTree, cmdline: Cmdline) -> tuple[str, ...]:
    """The scripts that run, by the files that give their order, and the files of settings, which init reads as scripts."""
    unused = (_PANIC,) if _mounts_nfs(tree, cmdline) else (_PANIC, *_OF_NFS)
    folders = [f"/scripts/{name}" for name in tree.names("/scripts") if name not in unused]
    settings = (CONFIGURATION, ARCHITECTURE, *(f"{CONFIGURATIONS}/{name}" for name in tree.names(CONFIGURATIONS)))
    ordered = (f"{folder}/{name}" for folder in folders for name in _order(tree, folder))
    return (*(path for path in settings if tree.is_file(path)), *ordered)


def _mounts_nfs(tree: FileTree, cmdline: Cmdline) -> bool:
    """Whether scripts/nfs may mount the root: `boot=nfs`, `root=/dev/nfs`, or BOOT=nfs in the image's configuration, if it can be read."""
    if "nfs" in cmdline.values("boot") or "/dev/nfs" in cmdline.values("root"):
        return True
    files = (CONFIGURATION, *(f"{CONFIGURATIONS}/{name}" for name in tree.names(CONFIGURATIONS)))
    texts = (tree.text_or_none(path) for path in files if tree.is_file(path))
    return any(text is None or _NFS.search(text) for text in texts)

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A dracut initramfs: `rd.driver.*` before and after udev's coldplug, and systemd-modules-load if it has systemd.

Based on dracut 059 (Debian 12) and 106 (Debian 13): dracut-pre-udev, parse-kernel.sh, insmodpost.sh, dracut-lib.sh.
"""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import read_systemd
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Coldplug, Flow, ListedModule, LoadList
from ansible_collections.vfio.variants.plugins.module_utils._core.host.together import lines_of_lists
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import SourceLine, blacklisting

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Step
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree

HOMES = ("/usr/lib/dracut", "/lib/dracut")
HOOKS = ("/var/lib/dracut/hooks", "/etc/dracut/hooks", "/lib/dracut/hooks")
"""dracut 112 reads all three; of those before it has one, to which the others are links."""
# The hooks of a shutdown, and of a boot that has failed.
_NOT_AT_BOOT = ("shutdown", "shutdown-emergency", "emergency")
SYSTEMD = ("/usr/lib/systemd/systemd", "/lib/systemd/systemd")
PRE_UDEV = "/usr/bin/dracut-pre-udev"
CMDLINE_FOLDER = "/etc/cmdline.d"
CMDLINE_FILE = "/etc/cmdline"
RUN_BLACKLIST = "/run/modprobe.d"
PRE, BLACKLIST, POST = "rd.driver.pre", "rd.driver.blacklist", "rd.driver.post"
Argument = tuple[str, str]
"""An argument, and the file and line that it is from."""


def is_made_by(tree: FileTree) -> bool:
    """Whether dracut built the image."""
    made = (f"{home}/{name}" for home in HOMES for name in ("hooks", "modules.txt", "build-parameter.txt"))
    return any(map(tree.exists, (*made, *HOOKS)))


def has_systemd(tree: FileTree) -> bool:
    """Whether systemd is the image's init."""
    return any(tree.exists(path) for path in SYSTEMD)


def loads_lists(tree: FileTree, cmdline: Cmdline) -> bool:
    """Whether the image loads the lists of modules-load.d."""
    return has_systemd(tree) and read_systemd.loads_lists(tree, cmdline, in_initrd=True)


def flow(tree: FileTree, cmdline: Cmdline, source: str) -> Flow:
    """What dracut's scripts and the image's systemd, if any, do about drivers."""
    with_systemd = has_systemd(tree)
    arguments = _arguments(tree, cmdline, source)
    script = _script(tree, with_systemd)
    runs = script is not None and (not with_systemd or _starts(tree, cmdline))
    pre, post = (_values(arguments, key) if runs else () for key in (PRE, POST))
    banned = tuple(_asking(arguments, BLACKLIST)) if runs else ()
    unordered, doubts = read_systemd.steps(tree, cmdline, source, in_initrd=True) if with_systemd else (((Coldplug(),),), ())
    # The script blacklists the value of rd.driver.post as a whole: with commas in it that is not a module's name.
    blacklisted = (*banned, *(entry for entry in _whole_values(arguments, POST) if runs and "," not in entry.name))
    steps: tuple[Step, ...] = ((LoadList(PRE, pre, honours_blacklist=False),),) if pre else ()
    steps += unordered
    steps += ((LoadList(POST, post, honours_blacklist=False),),) if post else ()
    found = (*doubts, *_conflicts(tree, unordered, pre, blacklisted), *_breaks(arguments))
    lasts = script is not None and RUN_BLACKLIST in script
    directives = tuple(blacklisting(entry.name, SourceLine(entry.source, 0), entry.written) for entry in blacklisted)
    return Flow(steps, directives, lasts, found)


def _script(tree: FileTree, with_systemd: bool) -> str | None:
    """The script that implements `rd.driver.*`; None if the image has none."""
    if with_systemd:
        places = [PRE_UDEV, "/bin/dracut-pre-udev"]
    else:
        folders = [f"{place}/{hook}" for hook in ("cmdline", "pre-udev") for place in _hooks(tree)]
        places = [f"{folder}/{name}" for folder in folders for name in tree.names(folder)]
    texts = (tree.read_text(path) for path in places if tree.is_file(path))
    return next((text for text in texts if PRE in text), None)


def _starts(tree: FileTree, cmdline: Cmdline) -> bool:
    """The conditions of dracut-pre-udev.service, of which one is enough."""
    requested = any(word.partition("=")[0] in (PRE, BLACKLIST, POST) for word in cmdline.arguments)
    hooked = any(tree.names(f"{place}/pre-udev") for place in _hooks(tree))
    return requested or hooked or any(name.endswith(".conf") for name in tree.names(CMDLINE_FOLDER))


def _arguments(tree: FileTree, cmdline: Cmdline, source: str) -> tuple[Argument, ...]:
    """As getcmdline() in dracut-lib.sh: the image's own arguments, then the kernel's."""
    files = [f"{CMDLINE_FOLDER}/{name}" for name in tree.names(CMDLINE_FOLDER) if name.endswith(".conf")] + [CMDLINE_FILE]
    own = [
        (word, f"{tree.shown(path)}:{number}")
        for path, number, line in lines_of_lists(tree, files)
        for word in Cmdline.parse(line).arguments
    ]
    return (*own, *((word, source) for word in cmdline.arguments))


def _values(arguments: t.Sequence[Argument], key: str) -> tuple[ListedModule, ...]:
    return tuple(
        ListedModule(normalize_module_name(name), place, written=name)
        for word, place in arguments
        for name in (_value(word, key) or "").replace(",", " ").split()
    )


def _asking(arguments: t.Sequence[Argument], key: str) -> t.Iterator[ListedModule]:
    """The modules of an argument, each with the whole of it."""
    for word, place in arguments:
        for name in (_value(word, key) or "").replace(",", " ").split():
            yield ListedModule(name, place, written=word)


def _whole_values(arguments: t.Sequence[Argument], key: str) -> t.Iterator[ListedModule]:
    for word, place in arguments:
        for value in (_value(word, key) or "").split():
            yield ListedModule(value, place, written=word)


def _value(word: str, key: str) -> str | None:
    name, equals, value = word.replace('"', "").partition("=")
    return value if equals and name == key else None


def _conflicts(
    tree: FileTree, unordered: tuple[Step, ...], pre: tuple[ListedModule, ...], blacklisted: t.Sequence[ListedModule]
) -> t.Iterator[str]:
    """Doubts because dracut-pre-udev.service and systemd-modules-load.service are not ordered relative to each other."""
    lists = [work for step in unordered for work in step if isinstance(work, LoadList)]
    names = {entry.name for work in lists for entry in work.modules}
    if lists and pre:
        yield f"{tree.shown(PRE_UDEV)} loads {PRE} and {lists[0].program} loads its own list, in no fixed order."
    for name in sorted(names.intersection(normalize_module_name(entry.name) for entry in blacklisted)):
        yield f"{tree.shown(PRE_UDEV)} blacklists {name}, which {lists[0].program} may have loaded before."


def _breaks(arguments: t.Sequence[Argument]) -> t.Iterator[str]:
    for word, place in arguments:
        name, _equals, value = word.partition("=")
        if name in ("rd.break", "rdbreak"):
            yield f"{place}: {word} opens a shell in the initramfs, in which anything can be changed."
        elif name == "rd.hostonly" and value in ("0", "no", "off"):
            yield f"{place}: {word} removes host-specific files from the initramfs; which ones cannot be determined."
        elif name == "rd.cmdline" and value == "ask":
            yield f"{place}: {word} asks for further arguments on the console."


def scripts(tree: FileTree) -> tuple[str, ...]:
    """The hooks, without the one that implements rd.driver.*, which flow() evaluates."""
    folders = [f"{home}/{name}" for home in _hooks(tree) for name in tree.names(home) if name not in _NOT_AT_BOOT]
    paths = (path for folder in folders for path in _below(tree, folder))
    return tuple(path for path in paths if PRE not in (tree.read_text(path) if tree.is_file(path) else PRE))


def _hooks(tree: FileTree) -> tuple[str, ...]:
    """The folders of hooks, each under one of its names."""
    return tuple(place for place in HOOKS if tree.link(place) is None)


def _below(tree: FileTree, folder: str) -> t.Iterator[str]:
    for name in tree.names(folder):
        path = f"{folder}/{name}"
        if tree.is_dir(path):
            yield from _below(tree, path)
        else:
            yield path

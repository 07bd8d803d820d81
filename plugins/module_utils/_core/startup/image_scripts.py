# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scripts of an initramfs may do to drivers.

An image has no package database.  A script in it is a package's if the root has the same content where the generator takes it from,
and the root's package database knows that file.
"""

from __future__ import annotations

import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.startup.ownership import PACKAGED, Ownership
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.programs import ProgramAnalysis

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence

INITRAMFS_TOOLS = "/usr/share/initramfs-tools"
DRACUT = ("/usr/lib/dracut/modules.d", "/usr/share/dracut/modules.d")
MKINITCPIO = "/usr/lib/initcpio"
LARGEST = 512 << 10
_HOOK = re.compile(r"/(?:(?:usr/|var/)?lib|etc)/dracut/hooks/[^/]+/(?:\d+-?)?(.+)")
# What makes the script act, and is simulated: it is given as a word of the command line (scripts/init-top/all_generic_ide).
_ON_REQUEST = {"all_generic_ide": "ata_generic"}


# It writes what the command line's `blacklist=` says, which is simulated.
_BLACKLISTS = "/scripts/init-top/blacklist"
# The generator's own, which every script sources; without the root's there is nothing to compare them with.
_LIBRARIES = ("/scripts/functions", "/lib/dracut-lib.sh", "/usr/lib/dracut-lib.sh")

# The scripts that start udev and have it process the devices' events for the first time.
_OF_UDEV = ("/scripts/init-top/udev", "/hooks/udev")
_TRIGGER = re.compile(r"(?<![\w-])udevadm[ \t]+trigger\b(?P<options>[^\n;|&>]*)")
_FOR_ALL = re.compile(
    r"(?:[ \t]+(?:--type=(?:all|devices)|-t[ \t]*(?:all|devices)|-w|--settle|-v|--verbose|-q|--quiet|--prioritized-subsystem=\S+))*[ \t]*"
)
_OF_ADD = re.compile(r"[ \t]+(?:--action=add|-c[ \t]*add)(?![^ \t])")
_OF_SUBSYSTEMS = re.compile(r"[ \t](?:--type=subsystems|-t[ \t]*subsystems)(?![^ \t])")
_LOOP = re.compile(r"^[ \t]*(?:for|while|until)\b", re.MULTILINE)


class ImageOwnership(Ownership):
    """Compares an image's files with those of the root that it is for."""

    def __init__(self, view: FileTree, host: Host | None) -> None:
        super().__init__(view, None)
        self._view = view
        self._host = host
        self._root = None if host is None else Ownership.of(host)
        self._modules: tuple[str, ...] | None = None

    @property
    def is_readable(self) -> bool:
        """Whether the root has the generator's scripts to compare with."""
        host = self._host
        return host is not None and any(host.is_dir(place) for place in (f"{INITRAMFS_TOOLS}/scripts", *DRACUT, MKINITCPIO))

    def has(self, path: str) -> bool:
        return self._host is not None and any(self._host.is_file(origin) for origin in self._origins(path))

    def is_intact(self, path: str) -> bool:
        host, root = self._host, self._root
        if path in _LIBRARIES and not self.is_readable:
            return True
        content = self._view.head(path, LARGEST)
        if host is None or root is None:
            return False
        for origin in self._origins(path):
            if content is not None and host.head(origin, LARGEST) != content:
                continue
            if root.is_intact(root.resolved(origin)) or (not root.is_readable and origin.startswith(PACKAGED) and host.is_file(origin)):
                return True
        return False

    def _origins(self, path: str) -> t.Iterator[str]:
        if path.startswith("/scripts/"):
            yield f"{INITRAMFS_TOOLS}{path}"
            return
        if path.startswith("/hooks/"):
            yield f"{MKINITCPIO}{path}"
            return
        hook = _HOOK.fullmatch(path)
        name = hook[1] if hook else posixpath.basename(path)
        if hook is None:
            yield path
        for folder in self._dracut_modules():
            yield f"{folder}/{name}"

    def _dracut_modules(self) -> tuple[str, ...]:
        host = self._host
        if self._modules is None:
            found = [f"{place}/{name}" for place in DRACUT for name in host.names(place) if host.is_dir(place)] if host is not None else []
            self._modules = tuple(found)
        return self._modules


def judged(view: FileTree, paths: t.Iterable[str], kernel: Kernel, host: Host | None, inventory: Inventory | None) -> tuple[Influence, ...]:
    """What the scripts at these paths of an image may do.  ``kernel`` has the image's modules; ``host`` is the root, if it is known."""
    ownership = ImageOwnership(view, host)
    judge = ProgramAnalysis(view, kernel, inventory, None, ownership)
    found: dict[Influence, None] = {}
    for path in paths:
        for one in _of_script(judge, ownership, path):
            if path == _BLACKLISTS and one.fact.endswith("/etc/modprobe.d/"):
                continue
            if one.modules is None or one.modules != frozenset((_ON_REQUEST.get(posixpath.basename(path)),)):
                found[one] = None
    return tuple(found)


def _of_script(judge: ProgramAnalysis, ownership: ImageOwnership, path: str) -> tuple[Influence, ...]:
    content = judge.tree.head(path, LARGEST) if path in _OF_UDEV and not ownership.is_intact(path) else None
    if content is None:
        return judge.of_file(path, judge.tree.shown(path))
    return judge.of_text(_without_coldplug(content.decode("utf-8", "surrogateescape")), judge.tree.shown(path))


def _without_coldplug(text: str) -> str:
    """A script without the command that has udev process all devices' "add" events for the first time, which replays nothing.

    The first such command does; a loop may run it again.
    """
    for found in _TRIGGER.finditer(text):
        options = found["options"]
        begin = text.rfind("\n", 0, found.start()) + 1
        if _OF_SUBSYSTEMS.search(options) or "#" in text[begin : found.start()]:
            continue
        others, number = _OF_ADD.subn("", options)
        if number and _FOR_ALL.fullmatch(others) and not _LOOP.search(text):
            return f"{text[: found.start()]}:{text[found.end() :]}"
        break
    return text

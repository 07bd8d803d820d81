# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts as roots for the collection to read: what the guest boots, laid out as a disk, with what sysfs shows before the boot."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

import root_files
import sysfs
import unified_host
import world_image
from host_trees import CAPTURED
from kernel import Kernel, module_name, read_dependencies
from machine import PHYSICAL_FUNCTION, VIRTUAL_ADDRESSES
from world_configuration import Entry, World

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.tests.uefi import materials

_ODD = re.compile(r"[\"'\\]")
_Alike = tuple[str, int, tuple[str, ...], tuple[str, ...]]


def alike(world: World) -> _Alike:
    """The same for hosts that differ in their own files alone."""
    return world.series, world.virtual_functions, world.missing_modules, world.absent


@dataclass
class WorldTrees:
    """``kernels`` are by series.  What successive hosts have in common is laid out once, below ``place``."""

    kernels: t.Mapping[str, Kernel]
    place: Path
    _common: dict[_Alike, Path] = field(default_factory=dict)

    def lay_out(self, world: World, folder: Path) -> Path:
        kernel = self.kernels[world.series]
        root_files.link_tree(self._alike(world, kernel), folder)
        for path, entry in world.root.items():
            _put(folder, path, entry)
        words = root_files.cmdline(world.configuration())
        _put(folder, "/proc/cmdline", Entry(f"{words}\n"))
        images = [image for image in (world_image.make(world, kernel), world_image.second(world)) if image]
        (folder / f"boot/initrd.img-{kernel.release}").write_bytes(images[0])
        if world.unified:
            unified_host.lay_out(materials.provide(Cache.at(None), print), kernel, words, images, folder)
            return folder
        if world.second:
            (folder / "boot/second.img").write_bytes(images[1])
        for path, text in _menu(world, kernel, words):
            _put(folder, path, Entry(text))
        return folder

    def _alike(self, world: World, kernel: Kernel) -> Path:
        key = alike(world)
        if key not in self._common:
            while self._common:
                shutil.rmtree(self._common.popitem()[1])
            root = Path(tempfile.mkdtemp(prefix="alike-", dir=self.place))
            root_files.lay_out_kernel(world.configuration(), kernel, root)
            loadable = {module_name(path) for path in read_dependencies(kernel.modules)}
            captured = _present((kernel.folder / CAPTURED).read_text(encoding="utf-8"), world.absent)
            sysfs.lay_out(captured, root, world.virtual_functions if _can_make(world) else 0, loadable)
            self._common[key] = root
        return self._common[key]


def _menu(world: World, kernel: Kernel, words: str) -> t.Iterator[tuple[str, str]]:
    """The boot loader's file.  GRUB puts a backslash before each quote (grub_create_loader_cmdline()), QEMU hands words on as they are."""
    first, second = f"/boot/initrd.img-{kernel.release}", "/boot/second.img"
    if not _ODD.search(words):
        menu = root_files.grub_menu(world.configuration(), kernel.release)
        yield "/boot/grub/grub.cfg", menu.replace(first, f"{first} {second}") if world.second else menu
        return
    initrds = f"{first},{second}" if world.second else first
    label = f"LABEL linux\n  LINUX /boot/vmlinuz-{kernel.release}\n  INITRD {initrds}\n  APPEND {words}\n"
    yield "/boot/extlinux/extlinux.conf", f"DEFAULT linux\n{label}"


def _can_make(world: World) -> bool:

    return PHYSICAL_FUNCTION not in world.absent


def _present(captured: str, absent: t.Collection[str]) -> str:
    """Without the functions that are not plugged in, and with them their virtual ones."""

    gone = {*absent, *(VIRTUAL_ADDRESSES if PHYSICAL_FUNCTION in absent else ())}
    known = json.loads(captured)
    kept = {
        part: {path: value for path, value in entries.items() if not any(f"/devices/{address}/" in f"{path}/" for address in gone)}
        for part, entries in known.items()
    }
    return json.dumps(kept)


def _put(root: Path, path: str, entry: Entry) -> None:
    place = root / root_files._merged(path).lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    # A link to the template's file, or one of the template's links.
    place.unlink(missing_ok=True)
    if entry.link:
        place.symlink_to(entry.link)
    else:
        place.write_bytes(entry.text.encode("utf-8", "surrogateescape"))
        place.chmod(entry.permissions)

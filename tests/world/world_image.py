# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's initramfs: as the fast guest's, with links and modes among its own files."""

from __future__ import annotations

import configuration as flows
import image
from archive import compressed
from image import DRACUT_FILES
from kernel import Kernel
from world_archive import EntryArchive
from world_configuration import World

_DRACUT_UNITS = ("systemd-modules-load.service", "systemd-udev-trigger.service", "systemd-udevd.service")


def make(world: World, kernel: Kernel) -> bytes:
    archive = EntryArchive()
    image.begin(archive, kernel)
    if world.flow == flows.DRACUT:
        _add_dracut(archive, kernel)
    else:
        image._add_initramfs_tools(archive, kernel, world.flow == flows.INITRAMFS_TOOLS)
    image._add_modules(archive, kernel, world.image_modules)
    archive.entries(world.image)
    return compressed(archive.content(), world.compression)


def second(world: World) -> bytes:
    """What the boot loader puts behind the first image; empty where there is no second one."""
    if not world.second:
        return b""
    archive = EntryArchive()
    archive.entries(world.second)
    return archive.content()


def _add_dracut(archive: EntryArchive, kernel: Kernel) -> None:
    archive.file("/forecast/flow", (image._GUEST / "dracut").read_bytes(), 0o755)
    for name, place in DRACUT_FILES.items():
        archive.file(place, (kernel.folder / "dracut" / name).read_bytes(), 0o755)
    for name in image._DRACUT_LINKS:
        archive.link(f"/usr/bin/{name}", "dracut-util")
    archive.file("/usr/lib/dracut/modules.txt", "systemd\nsystemd-modules-load\nkernel-modules\nudev-rules\nbase\n")
    archive.folder("/usr/lib/dracut/hooks")
    archive.file("/etc/initrd-release", 'NAME="Debian GNU/Linux"\nID=debian\n')
    for name in _DRACUT_UNITS:
        archive.file(f"/usr/lib/systemd/system/{name}", (kernel.folder / "root/usr/lib/systemd/system" / name).read_bytes())
    archive.file("/usr/lib/systemd/systemd", "", 0o755)
    (library,) = (kernel.folder / "root/usr/lib/x86_64-linux-gnu/systemd").glob("libsystemd-shared-*.so")
    # A name alone, beside the real library of the base archive, whose place is another.
    archive.file(f"/usr/lib/systemd/{library.name}", "")

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which kind of program a file that EFI firmware starts is: told by its content, and by its name only where that says nothing."""

from __future__ import annotations

import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import kernel_image
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import image_header

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import BootFiles
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

SYSTEMD_BOOT, GRUB, REFIND, LIMINE = "systemd-boot", "GRUB", "rEFInd", "Limine"
LOADERS = (SYSTEMD_BOOT, GRUB, REFIND, LIMINE)
SHIM = "shim"
KERNEL = "a kernel"
UNIFIED = "a unified kernel image"

# A loader says what it is in these sections: systemd's programs in .sdmagic, everything that shim starts in .sbat.
MAGIC = re.compile(rb"#### LoaderInfo: (systemd-boot|systemd-stub) ")
COMPONENTS = (("systemd-boot", SYSTEMD_BOOT), ("grub", GRUB), ("shim", SHIM), ("refind", REFIND), ("limine", LIMINE))
NAMES = (*COMPONENTS, ("gcdx64", GRUB), ("vmlinuz", KERNEL), ("bzimage", KERNEL))
# What shim starts if it is told nothing else; openSUSE gives systemd-boot the second name.
SECOND_STAGES = ("grubx64.efi", "grub.efi")
# grub-mkimage puts the modules into a section of this name.
GRUB_MODULES = "mods"
ARM64 = (slice(0x38, 0x3C), b"ARM\x64")
START = 0x1000
LONGEST_SECTION = 0x4000


class Program(t.NamedTuple):
    """``kind`` is one of the names above, or None; ``place`` is the host's path, None if no mounted partition has the file."""

    kind: str | None
    place: str | None


def find(files: BootFiles, path: str) -> Program:
    """The program that the firmware calls ``path``; where shim stands first, what it starts."""
    place = next((place for place in (files.find_on(partition, path) for partition in files.partitions) if place), None)
    kind = (None if place is None else by_content(files.host, place)) or by_name(path)
    if kind != SHIM:
        return Program(kind, place)
    seconds = (posixpath.join(posixpath.dirname(path), name) for name in SECOND_STAGES)
    after = next(
        (found for second in seconds for found in (files.find_on(partition, second) for partition in files.partitions) if found), None
    )
    behind = None if after is None else by_content(files.host, after)
    return Program(behind or GRUB, after or place)


def by_name(path: str) -> str | None:
    name = posixpath.basename(path).lower()
    if posixpath.dirname(path).lower() == "/efi/linux" and name.endswith(".efi"):
        return UNIFIED
    return next((kind for start, kind in NAMES if name.startswith(start)), None)


def by_content(host: Host, place: str) -> str | None:
    """None if the file does not say."""
    try:
        with host.open(place) as file:
            sections = {name: (offset, size) for name, offset, size in kernel_image.sections(file)}
            if ".linux" in sections:
                return UNIFIED
            texts = {}
            for name in (".sdmagic", ".sbat"):
                offset, size = sections.get(name, (0, 0))
                file.seek(offset)
                texts[name] = file.read(min(size, LONGEST_SECTION))
            file.seek(0)
            start = file.read(START)
    except (HostError, OSError, ValueError):
        return None
    magic = MAGIC.search(texts[".sdmagic"])
    if magic is not None and magic[1] == b"systemd-boot":
        return SYSTEMD_BOOT
    listed = [line.partition(",")[0] for line in texts[".sbat"].decode("ascii", "replace").lower().splitlines()]
    found = next((kind for name, kind in COMPONENTS if any(one == name or one.startswith(f"{name}.") for one in listed)), None)
    if found is None and GRUB_MODULES in sections:
        return GRUB
    is_kernel = start[image_header.HEADER] == image_header.MAGIC or start[ARM64[0]] == ARM64[1]
    return found or (KERNEL if is_kernel else None)

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot image of a kernel: which file it is, and what it does; or why that cannot be told."""

from __future__ import annotations

import dataclasses
import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_facts import read_initramfs
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.next_boot import Entry
from ansible_collections.vfio.variants.plugins.module_utils._core.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.generator import DRACUT, choose
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image_cache import read_image
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import CMDLINE

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_facts.read_initramfs import Early
    from ansible_collections.vfio.variants.plugins.module_utils._core.cache import Cache
    from ansible_collections.vfio.variants.plugins.module_utils._core.host import Host

# Packages of processor microcode call their images so (intel-ucode.img, amd-ucode.img).
MICROCODE = "ucode"


@dataclasses.dataclass(frozen=True)
class Found:
    """``early`` is None where there is no image, or where ``doubts`` say why nobody can look into it."""

    early: Early | None = None
    doubts: tuple[str, ...] = ()


def find(host: Host, entry: Entry, cache: Cache | None = None) -> Found:
    """What the images of a boot entry do."""
    paths = images_of(host, entry)
    missing = [path for path in paths if not host.is_file(path)]
    if missing:
        return Found(doubts=(f"{entry.source} names {missing[0]}, which is not there: what it does cannot be told.",))
    if not paths:
        return Found()
    if len(paths) > 1:
        return Found(doubts=(f"{entry.source} names several images ({', '.join(paths)}): what they do together cannot be told.",))
    try:
        image = read_image(host, paths[0], entry.release, cache)
        return Found(read_initramfs.read_stage(image, entry.cmdline, entry.source, cache))
    except HostError as error:
        return Found(doubts=(error.msg,))


def images_of(host: Host, entry: Entry) -> tuple[str, ...]:
    """The images that the entry names, microcode left out; where only the running kernel is known, the one that its generator makes."""
    if entry.source != CMDLINE:
        return tuple(path for path in entry.initrds if MICROCODE not in posixpath.basename(path))
    try:
        generator = choose(host) or DRACUT
    except HostError:
        generator = DRACUT
    path = generator.image_path(host, entry.release)
    return (path,) if host.is_file(path) else ()

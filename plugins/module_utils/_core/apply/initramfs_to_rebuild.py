# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file is the initramfs that a kernel boots with and that is rebuilt: the one that its boot entry names, whatever it is called."""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.find_images import Images, images_of, images_there
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.read import without_entry
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.cmdline_way import is_named_by_kernel_install
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.programs import unfit_program
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.generator import DRACUT, INITRAMFS_TOOLS
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image_file import is_microcode, is_program

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.next_boot import BootEntry
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.generator import Generator


def initramfs_to_rebuild(host: Host, release: str, entry: BootEntry | None, generator: Generator | None, cache: Cache | None = None) -> str:
    """The path, whether the file exists or not.  Raises HostError if it cannot be determined which of several images it is."""
    usual = (generator or DRACUT).image_path(host, release)
    known = entry or without_entry(host, release)
    paths, doubts = images_of(host, known)
    named = [path for path in paths if host.is_file(path) and not is_microcode(host, path, cache)]
    if usual in named or (not named and host.is_file(usual)):
        return usual
    if len(named) == 1:
        return named[0]
    if named:
        raise HostError(
            f"{known.source} names several initramfs images ({', '.join(named)}): which of them to rebuild cannot be determined."
        )
    if entry is None or doubts:
        seen = sorted(images_there(host))
        if seen and not _belong_to_others(host, seen):
            raise HostError(
                f"Which initramfs kernel {release} boots with cannot be determined: {', '.join(seen[:3])} may be it, or {usual}.",
                "Name the image in the boot loader's entry, or mount the partition that has the boot loader's files.",
            )
    _refuse_unseen(host, known, usual, generator, Images(paths, doubts))
    return usual


def _refuse_unseen(host: Host, known: BootEntry, usual: str, generator: Generator | None, images: Images) -> None:
    """Raises HostError where the kernel boots with an image that is not there to look at: that is not the same as having none."""
    unseen = [path for path in images.paths if not host.is_file(path)]
    if unseen and usual not in unseen:
        raise HostError(
            f"{known.source} names the initramfs {unseen[0]}, which does not exist, so it cannot be looked at or rebuilt.",
            "Mount the partition that has it, or correct the entry.",
        )
    if generator is not None:
        return
    other = unfit_program(host)
    if other is not None:
        raise HostError(
            f"{other.name} builds the initramfs images of this host, and none of kernel {known.release} was found.",
            "Name the image in the boot loader's entry, or mount the partition that has it.",
        )
    if images.doubts:
        raise HostError(f"Whether kernel {known.release} boots with an initramfs cannot be determined: {images.doubts[0]}")


def _belong_to_others(host: Host, seen: t.Iterable[str]) -> bool:
    """Whether each image has the release of an installed kernel, or is a copy, in its name: then a missing one is just missing."""
    releases = [name for folder in ("/lib/modules", "/usr/lib/modules") for name in host.names(folder)]
    return all(is_microcode(host, path) or any(release in path for release in releases) for path in seen)


def makes_by_kernel_install(host: Host, path: str, release: str) -> bool:
    """Whether the image is a unified kernel image that kernel-install makes."""
    return is_named_by_kernel_install(host, path, release) and is_program(host, path)


def source_of(host: Host, path: str, release: str, generator: Generator | None) -> str | None:
    """The image that the generator builds, where ``path``, which boots, is made of it: a copy, or a unified kernel image.

    None where the generator builds what boots; kernel-install's own plugins call it without a file besides.
    """
    usual = None if generator is None else generator.image_path(host, release)
    if usual is None or path == usual or not host.is_file(path):
        return None
    if posixpath.basename(path) == posixpath.basename(usual):
        return usual
    is_used = generator is INITRAMFS_TOOLS or host.is_file(usual)
    return usual if is_used and makes_by_kernel_install(host, path, release) else None


def refuse_program(host: Host, path: str, release: str, reason: str) -> None:
    """Raises HostError if the image is a part of a program that neither a generator of initramfs images nor kernel-install builds."""
    if is_program(host, path) and not makes_by_kernel_install(host, path, release):
        raise HostError(
            f"{path} is a unified kernel image whose initramfs does not match the policy ({reason.rstrip('.')}).",
            "Build it again with the program that made it, such as dracut --uefi or ukify.",
        )

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user may choose of a test image."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, shown
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.suite import MAIN, Suite
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.quantity import parse_size

SMALLEST_DISK = 2 << 30
IMAGE_PREFIX = "linux-image-"
COMPONENTS = (MAIN, "contrib", "non-free", "non-free-firmware")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.~-]+(?:[/=][A-Za-z0-9+.:~-]+)?")


@dataclass(frozen=True)
class ImageOptions:
    """`size` in bytes."""

    suite: Suite
    mirror: str
    kernels: tuple[str, ...]
    packages: tuple[str, ...]
    components: tuple[str, ...]
    initramfs: str
    initramfs_modules: str
    kernel_arguments: tuple[str, ...]
    nouveau_fixtures: bool
    firmware: str
    size: int

    @classmethod
    def from_mapping(cls, options: t.Mapping[str, t.Any], mirror: str) -> ImageOptions:
        """From the options of `test_image`; HostError names the option that is wrong."""
        if not re.match(r"(https?|file):/", mirror):
            raise HostError(f"mirror: {shown(mirror)} is not an address.", "Give an http, https or file address of a Debian archive.")
        size = parse_size("size", options["size"])
        if size < SMALLEST_DISK or size % (1 << 20):
            raise HostError(f"size: {shown(options['size'])} is not usable.", f"Give whole mebibytes, at least {SMALLEST_DISK >> 30}G.")
        return cls(
            suite=Suite.named(options["suite"]),
            mirror=mirror.rstrip("/"),
            kernels=tuple(_kernel_package(name) for name in options["kernels"]),
            packages=tuple(_package("packages", name) for name in options["packages"] or ()),
            components=_components(options["components"]),
            initramfs=options["initramfs"],
            initramfs_modules=options["initramfs_modules"],
            kernel_arguments=tuple(options["kernel_arguments"] or ()),
            nouveau_fixtures=options["nouveau_fixtures"],
            firmware=options["firmware"],
            size=size,
        )


def _kernel_package(name: str) -> str:
    return _package("kernels", name if name.startswith(IMAGE_PREFIX) else IMAGE_PREFIX + name)


def _components(names: t.Sequence[str]) -> tuple[str, ...]:
    """In the archive's own order, so that the order in which they are given changes nothing."""
    if MAIN not in names:
        raise HostError(f"components: {shown(list(names))} is without {MAIN}, of which every system is.", f"Add {MAIN}.")
    return tuple(name for name in COMPONENTS if name in names)


def _package(option: str, name: str) -> str:
    if not _PACKAGE.fullmatch(name):
        raise HostError(f"{option}: {shown(name)} is not the name of a Debian package.", "Use name, name/suite or name=version.")
    return name

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a test image consists of: options in, everything that determines its content out. No file is read, nothing is run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import typing as t
import uuid
from dataclasses import dataclass

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed import grub, guest
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.guest_file import GuestFile
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.quantity import parse_size
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.suite import Suite

SMALLEST_DISK = 2 << 30
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.~-]+(?:[/=][A-Za-z0-9+.:~-]+)?")
_IMAGE_PREFIX = "linux-image-"
_NAMESPACE = uuid.UUID("5b0f2f6c-6a3b-4d7e-9d52-0f4f3a1c7e11")


@dataclass(frozen=True)
class ImageOptions:
    """What a user may choose. `size` in bytes."""

    suite: Suite
    mirror: str
    kernels: tuple[str, ...]
    packages: tuple[str, ...]
    initramfs: str
    initramfs_modules: str
    kernel_arguments: tuple[str, ...]
    nouveau_fixtures: bool
    size: int

    @classmethod
    def from_mapping(cls, options: t.Mapping[str, t.Any], mirror: str) -> ImageOptions:
        """From the options of `test_image`; HostError names the option that is wrong."""
        if not re.match(r"(https?|file):/", mirror):
            raise HostError(f"mirror: {mirror!r} is not an address.", "Give an http, https or file address of a Debian archive.")
        size = parse_size("size", options["size"])
        if size < SMALLEST_DISK or size % (1 << 20):
            raise HostError(f"size: {options['size']!r} is not usable.", f"Give whole mebibytes, at least {SMALLEST_DISK >> 30}G.")
        return cls(
            suite=Suite.named(options["suite"]),
            mirror=mirror.rstrip("/"),
            kernels=tuple(_kernel_package(name) for name in options["kernels"]),
            packages=tuple(_package("packages", name) for name in options["packages"] or ()),
            initramfs=options["initramfs"],
            initramfs_modules=options["initramfs_modules"],
            kernel_arguments=tuple(options["kernel_arguments"] or ()),
            nouveau_fixtures=options["nouveau_fixtures"],
            size=size,
        )


@dataclass(frozen=True)
class Recipe:
    """Everything that determines an image's content, short of the archive's day."""

    sources: str
    packages: tuple[str, ...]
    dpkg_options: tuple[str, ...]
    files_before_packages: tuple[GuestFile, ...]
    files_after_packages: tuple[GuestFile, ...]
    commands: tuple[tuple[str, ...], ...]
    kernel_arguments: tuple[str, ...]
    size: int

    @classmethod
    def of(cls, options: ImageOptions, public_key: str) -> Recipe:
        """The recipe of an image that lets the owner of `public_key` (one line of authorized_keys) log in as root."""
        arguments = guest.kernel_arguments(options)
        return cls(
            sources=options.suite.sources(options.mirror),
            packages=(*guest.packages(options.initramfs), *_with_headers(options.kernels), *options.packages),
            dpkg_options=guest.DPKG_OPTIONS,
            files_before_packages=(*guest.system_files(options, public_key), guest.grub_defaults(arguments)),
            files_after_packages=guest.files_after_packages(options),
            commands=(*guest.COMMANDS, *_grub_commands()),
            kernel_arguments=arguments,
            size=options.size,
        )

    def key(self, sources: t.Iterable[bytes]) -> str:
        """The image's name in the cache. `sources`: the code that turns a recipe into a disk, which is part of what determines it."""
        digest = hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode())
        for source in sources:
            digest.update(hashlib.sha256(source).digest())
        return digest.hexdigest()[:16]


def seed(key: str) -> uuid.UUID:
    """From which an image's identifiers (disk, partitions, file system) follow."""
    return uuid.uuid5(_NAMESPACE, key)


def _grub_commands() -> tuple[tuple[str, ...], ...]:
    modules = f"/usr/lib/grub/{grub.PLATFORM}"
    core = f"/boot/grub/{grub.PLATFORM}/core.img"
    return (
        ("mkdir", "-p", "/boot/grub"),
        ("cp", "-r", modules, "/boot/grub/"),
        ("grub-mkimage", "-O", grub.PLATFORM, "-p", grub.PREFIX, "-o", core, *grub.CORE_MODULES),
        ("grub-editenv", "/boot/grub/grubenv", "create"),
    )


def _kernel_package(name: str) -> str:
    return _package("kernels", name if name.startswith(_IMAGE_PREFIX) else _IMAGE_PREFIX + name)


def _package(option: str, name: str) -> str:
    if not _PACKAGE.fullmatch(name):
        raise HostError(f"{option}: {name!r} is not the name of a Debian package.", "Use name, name/suite or name=version.")
    return name


def _with_headers(kernels: tuple[str, ...]) -> tuple[str, ...]:
    return (*kernels, *(name.replace(_IMAGE_PREFIX, "linux-headers-", 1).replace("-unsigned", "") for name in kernels))

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which initramfs images a kernel boots with: those of its entry, else those that the running kernel was given, else those that are there.

That there is none is only said where it is known: what was not found may be on a partition that is not mounted.
"""

from __future__ import annotations

import re
import struct
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import PARTITIONS, UNIFIED_IMAGES, BootFiles
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.families import package_of
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.generator import DRACUT, choose
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.presets import preset_of
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.build_requirements import kernel_config
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import CMDLINE
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import OSRELEASE

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.next_boot import BootEntry
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image import Image

FIRMWARE = "/sys/firmware/efi"
PARAMETERS = "/sys/kernel/boot_params/data"
CHOSEN = "/sys/firmware/devicetree/base/chosen"
# Documentation/arch/x86/boot.rst: ramdisk_image, ramdisk_size; zero-page.rst: ext_ramdisk_image, ext_ramdisk_size.
RAMDISK_SIZE, EXTENDED_RAMDISK_SIZE, LEAST_PARAMETERS = 0x21C, 0xC4, 0x220
IMAGE_NAME = re.compile(r"(?:initr(?:d|amfs)|booster|ramdisk)[^/]*|[^/]+\.img", re.IGNORECASE)
# The names by package, not by release: mkinitcpio's presets, booster.
OF_PACKAGE = ("/boot/initramfs-{package}.img", "/boot/booster-{package}.img")
WITHOUT = "noinitrd"
TAKES_ARGUMENTS = re.compile(r"^[ \t]*(?:kernel|init)\b", re.MULTILINE)


class Images(t.NamedTuple):
    """Paths in the order in which the kernel unpacks them; ``doubts`` if they are assumed, or may be missing."""

    paths: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def images_of(host: Host, entry: BootEntry) -> Images:
    """The images that the entry boots with."""
    if entry.source != CMDLINE:
        return Images(entry.initrds, _without(entry) if entry.initrds else ())
    given = _given(host, entry)
    if given is not None:
        return given
    path = _by_generator(host, entry.release)
    if path is not None:
        return Images((path,))
    return _by_package(host, entry) or _none(host, entry)


def _without(entry: BootEntry) -> tuple[str, ...]:
    if WITHOUT not in entry.cmdline.arguments:
        return ()
    return (f"{entry.source}: {WITHOUT} makes some kernels boot without the initramfs.",)


def _given(host: Host, entry: BootEntry) -> Images | None:
    """What `initrd=` on the running kernel's command line names: a file on the partition that the kernel came from."""
    words = entry.cmdline.values("initrd")
    if not words or host.text_or_none(OSRELEASE) != entry.release:
        return None
    files = BootFiles(host)
    paths: list[str] = []
    for word in (part for value in words for part in value.split(",") if part):
        place = next((place for place in (files.find_on(partition, word) for partition in PARTITIONS) if place), None) or files.find(word)
        if place is None:
            return Images(
                (), (f"{entry.source}: initrd={word} is an initramfs on a partition that is not mounted: what it does is unknown.",)
            )
        paths.append(place)
    return Images(tuple(paths))


def _by_generator(host: Host, release: str) -> str | None:
    """The image that the generator builds for this release."""
    try:
        generator = choose(host) or DRACUT
    except HostError:
        generator = DRACUT
    path = generator.image_path(host, release)
    return path if host.is_file(path) and path not in _named_by_package(host, release) else None


def _by_package(host: Host, entry: BootEntry) -> Images | None:
    path = next((place for place in _named_by_package(host, entry.release) if host.is_file(place)), None)
    if path is None:
        return None
    return Images(
        (path,), (f"{path} is taken for the initramfs of kernel {entry.release}; which one it boots with is not stated anywhere.",)
    )


def _named_by_package(host: Host, release: str) -> tuple[str, ...]:
    """What mkinitcpio's preset of the kernel's package names, and the usual names."""
    package, preset = package_of(host, release), preset_of(host, release)
    of_preset = () if preset is None else tuple(path for path in (preset.image, preset.unified) if path)
    return (*of_preset, *(name.format(package=package) for name in OF_PACKAGE if package is not None))


def _none(host: Host, entry: BootEntry) -> Images:
    """No image that belongs to this kernel was found."""
    if _is_built_with(host, entry.release, "BLK_DEV_INITRD") is False or _was_given_none(host, entry.release):
        return Images()
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import unmounted

    seen = sorted(images_there(host))
    what = f"{', '.join(seen[:3])} may be its initramfs" if seen else "it may be on a partition that is not mounted"
    about = "" if seen else "".join(f" {sentence}" for sentence in unmounted.said(host))
    return Images((), (f"No initramfs of kernel {entry.release} was found, and {what}: what it does is unknown.{about}",))


def _was_given_none(host: Host, release: str) -> bool:
    """Whether the running kernel was given no initramfs.  EFI stubs hand one over in another way, so there this does not tell."""
    if host.text_or_none(OSRELEASE) != release or host.is_dir(FIRMWARE):
        return False
    if host.is_dir(CHOSEN):
        return not host.exists(f"{CHOSEN}/linux,initrd-start")
    try:
        content = host.read_bytes(PARAMETERS) if host.is_file(PARAMETERS) else b""
    except HostError:
        return False
    if len(content) < LEAST_PARAMETERS:
        return False
    return all(struct.unpack_from("<I", content, offset)[0] == 0 for offset in (RAMDISK_SIZE, EXTENDED_RAMDISK_SIZE))


def _is_built_with(host: Host, release: str, option: str) -> bool | None:
    """Whether a kernel has an option built in; None if its configuration is not there."""
    config = kernel_config(host, release)
    return None if config is None else re.search(rf"^CONFIG_{option}=y$", config, re.MULTILINE) is not None


def images_there(host: Host) -> t.Iterator[str]:
    """Files beside the kernels whose names are those of initramfs images or unified kernel images."""
    for folder in PARTITIONS:
        yield from (f"{folder}/{name}" for name in BootFiles(host).names(folder) if IMAGE_NAME.fullmatch(name))
        unified = f"{folder}/{UNIFIED_IMAGES}"
        yield from (f"{unified}/{name}" for name in BootFiles(host).names(unified) if name.lower().endswith(".efi"))


def boot_config_doubts(host: Host, image: Image, entry: BootEntry) -> tuple[str, ...]:
    """A doubt if the kernel takes arguments from the image's boot configuration.  (Documentation/admin-guide/bootconfig.rst)"""
    found = TAKES_ARGUMENTS.search(image.boot_config)
    if found is None:
        return ()
    words = [word.partition("=")[0] for word in entry.cmdline.arguments]
    if "bootconfig" not in words and _is_built_with(host, entry.release, "BOOT_CONFIG_FORCE") is False:
        return ()
    return (f"{image.path} ends with a boot configuration, which gives the kernel further arguments; these are not read.",)

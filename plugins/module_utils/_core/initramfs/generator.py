# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that build initramfs images, and where each puts them."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.distribution import programs
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.families import package_of
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.shell_assignments import Assignments
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.presets import (
    IMAGE,
    MkinitcpioPreset,
    image_of,
    preset_of,
    presets,
)

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.programs import ImageProgram
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

AUTO = "auto"
MACHINE_ID = "/etc/machine-id"
LIBALPM, PACMAN = "/usr/share/libalpm/hooks", "/etc/pacman.d/hooks"
DEBIAN_IMAGE = "/boot/initrd.img-{release}"
FEDORA_IMAGE = "/boot/initramfs-{release}.img"
# dracut.sh chooses among these in its own order; an existing image is better evidence than that order.
DRACUT_IMAGES = (
    DEBIAN_IMAGE,
    FEDORA_IMAGE,
    "/boot/initrd-{release}",
    "/efi/{machine}/{release}/initrd",
    "/boot/{machine}/{release}/initrd",
    "/boot/efi/{machine}/{release}/initrd",
    "/lib/modules/{release}/initrd",
)


@dataclasses.dataclass(frozen=True)
class Generator:
    """A program that builds a kernel's initramfs into a given file.

    ``hooks`` are what runs it when a kernel is installed: files, of which the last part may be an ending after a ``*``.
    """

    program: ImageProgram
    images: tuple[str, ...]
    hooks: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def command(self) -> str:
        return self.program.command

    def argv(self, host: Host, release: str, image: str, target: str) -> list[str]:
        """The command that builds into ``target`` what is to take the place of ``image``.

        For an image that is being baked it takes nothing from the machine that it runs on.
        """
        if self.command == "dracut":
            return ["dracut", "--force", "--kver", release, target, *(_OF_NO_MACHINE if host.is_image else ())]
        if self.command == "mkinitcpio":
            preset = preset_of(host, release) or MkinitcpioPreset("")
            config = () if preset.config is None else ("-c", preset.config)
            options = (*preset.options, *(_OF_ALL_MACHINES if host.is_image else ()))
            return ["mkinitcpio", "-k", release, *config, "-U" if image == preset.unified else "-g", target, *options]
        return [self.command, "-o", target, release]

    def builds_program(self, host: Host, release: str, image: str) -> bool:
        """Whether it builds this unified kernel image, and not only an initramfs."""
        preset = preset_of(host, release) if self.command == "mkinitcpio" else None
        return preset is not None and image == preset.unified

    def is_installed(self, host: Host) -> bool:
        return self.program.is_installed(host)

    def is_called(self, host: Host) -> bool:
        """Whether something runs it when a kernel is installed."""
        return any(_is_there(host, hook) for hook in self.hooks)

    def image_path(self, host: Host, release: str) -> str:
        """The path of the kernel's initramfs, whether it exists or not."""
        if self.command == "mkinitcpio":
            return image_of(host, release) or FEDORA_IMAGE.format(release=release)
        names = [image.format(release=release, machine=host.text_or_none(MACHINE_ID) or "unknown") for image in self.images]
        package = package_of(host, release)
        if self.command == "dracut" and package is not None:
            # Images by package are what Arch's loaders name; one by release would be an image that nothing boots.
            names.append(IMAGE.format(package=package))
        default = names[0] if len(names) == 1 or host.is_dir("/etc/dpkg") else FEDORA_IMAGE.format(release=release)
        return next((name for name in names if host.is_file(name)), default)

    def refuse_own_machine(self, host: Host) -> None:
        """Raises HostError where it would take for an image the drivers of the machine that bakes it, and has no option against that."""
        if self.command != "mkinitramfs" or not host.is_image:
            return
        folders = ("/usr/share/initramfs-tools/conf.d", "/etc/initramfs-tools/conf.d")
        settings = (
            "/etc/initramfs-tools/initramfs.conf",
            *(f"{folder}/{name}" for folder in folders for name in sorted(host.names(folder))),
        )
        given = [(place, Assignments.parse(host.text_or_none(place) or "").get("MODULES")) for place in settings]
        place, value = next(((place, value) for place, value in reversed(given) if value), ("", None))
        if value == "dep":
            raise HostError(
                f"{place}: with MODULES=dep mkinitramfs takes the drivers of the machine that it runs on, which is not the image's.",
                "Write MODULES=most there, or rebuild the initramfs on the image's own machine.",
            )


# Over hostonly= and hostonly_cmdline= of dracut.conf; the second writes down which disk the root is on.
_OF_NO_MACHINE = ("--no-hostonly", "--no-hostonly-cmdline")
# The hook leaves out what the machine does not need.
_OF_ALL_MACHINES = ("-S", "autodetect")


def _is_there(host: Host, hook: str) -> bool:
    """A hook of pacman is masked by a link of its name to /dev/null."""
    folder, _slash, name = hook.rpartition("/")
    start, star, end = name.partition("*")
    names = [name] if not star else [one for one in host.names(folder) if one.startswith(start) and one.endswith(end)]
    return any(host.is_file(f"{folder}/{one}") and not _is_masked(host, folder, one) for one in names)


def _is_masked(host: Host, folder: str, name: str) -> bool:
    return folder == LIBALPM and host.exists(f"{PACMAN}/{name}") and not (host.text_or_none(f"{PACMAN}/{name}") or "")


# Not update-initramfs, which replaces the image before the new one can be checked.
INITRAMFS_TOOLS = Generator(programs.INITRAMFS_TOOLS, (DEBIAN_IMAGE,), ("/etc/kernel/postinst.d/initramfs-tools",))
DRACUT = Generator(programs.DRACUT, DRACUT_IMAGES, ("/etc/kernel/postinst.d/dracut", f"{LIBALPM}/*dracut-install.hook"))
MKINITCPIO = Generator(programs.MKINITCPIO, (), (f"{LIBALPM}/*mkinitcpio-install.hook",))
GENERATORS = (INITRAMFS_TOOLS, DRACUT, MKINITCPIO)
SETTINGS = ("/etc/kernel/install.conf", "/run/kernel/install.conf", "/usr/local/lib/kernel/install.conf", "/usr/lib/kernel/install.conf")
CHOSEN = "initrd_generator"


def choose(host: Host, wanted: str = AUTO) -> Generator | None:
    """The generator of this host's initramfs images; None if it has none.

    Raises HostError if the wanted one is not installed, or if two are and it cannot be determined which one is used.
    """
    present = [generator for generator in GENERATORS if generator.is_installed(host)]
    if wanted != AUTO:
        chosen = next((generator for generator in present if generator.name == wanted), None)
        if chosen is None:
            raise HostError(f"generator: {wanted} is not installed.", f"Install the package {wanted}, or leave the option at {AUTO}.")
        return chosen
    if len(present) < 2:
        return next(iter(present), None)
    named = next((name for place in SETTINGS for name in (Assignments.parse(host.text_or_none(place) or "").get(CHOSEN),) if name), None)
    called = [one for one in present if one.name == named] or [one for one in present if one.is_called(host)]
    if not called and MKINITCPIO in present and presets(host):
        called = [MKINITCPIO]
    if len(called) == 1:
        return called[0]
    names = " and ".join(generator.name for generator in present)
    raise HostError(f"generator: {names} are both installed; which one is used cannot be determined.", "Set the option to one of them.")

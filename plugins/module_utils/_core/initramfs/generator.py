# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that build initramfs images, and where each puts them."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

AUTO = "auto"
MACHINE_ID = "/etc/machine-id"
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
    """A program that builds a kernel's initramfs into a given file."""

    name: str
    command: str
    companions: tuple[str, ...]
    """Further commands of its package: if one is missing, the command itself is a leftover or belongs to something else."""
    images: tuple[str, ...]

    def argv(self, release: str, target: str) -> list[str]:
        if self.command == "dracut":
            return ["dracut", "--force", "--kver", release, target]
        return [self.command, "-o", target, release]

    def is_installed(self, host: Host) -> bool:
        return all(host.which(command) is not None for command in (self.command, *self.companions))

    @property
    def kernel_hook(self) -> str:
        """The script that runs the generator when a kernel is installed, on Debian and its derivatives."""
        return f"/etc/kernel/postinst.d/{self.name}"

    def image_path(self, host: Host, release: str) -> str:
        """The path of the kernel's initramfs, whether it exists or not."""
        names = [image.format(release=release, machine=host.text_or_none(MACHINE_ID) or "unknown") for image in self.images]
        default = names[0] if len(names) == 1 or host.is_dir("/etc/dpkg") else FEDORA_IMAGE.format(release=release)
        return next((name for name in names if host.is_file(name)), default)


# Not update-initramfs, which replaces the image before the new one can be checked.
INITRAMFS_TOOLS = Generator("initramfs-tools", "mkinitramfs", ("update-initramfs",), (DEBIAN_IMAGE,))
DRACUT = Generator("dracut", "dracut", (), DRACUT_IMAGES)
GENERATORS = (INITRAMFS_TOOLS, DRACUT)


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
    called = [generator for generator in present if host.is_file(generator.kernel_hook)]
    if len(called) == 1:
        return called[0]
    names = " and ".join(generator.name for generator in present)
    raise HostError(f"generator: {names} are both installed; which one is used cannot be determined.", "Set the option to one of them.")

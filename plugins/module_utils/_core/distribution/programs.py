# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that build initramfs images or make boot entries: how each is known, how a person runs it, and which are not served."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.refusals import native_way
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.suse_loader import has_sdbootutil

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

NO_UDEV = "its images have no udev, and of modprobe.d they keep only options"


@dataclasses.dataclass(frozen=True)
class ImageProgram:
    """``rebuild`` is a command, with {release} and {image}; ``unfit`` says why its images take no policy, None if they do.

    ``companions`` are further commands of its package: if one is missing, the command is a leftover or belongs to something else.
    """

    name: str
    command: str
    rebuild: str
    companions: tuple[str, ...] = ()
    unfit: str | None = None
    instead: str = ""

    def is_installed(self, host: Host) -> bool:
        return all(host.which(command) is not None for command in (self.command, *self.companions))


INITRAMFS_TOOLS = ImageProgram("initramfs-tools", "mkinitramfs", "update-initramfs -u -k {release}", ("update-initramfs",))
DRACUT = ImageProgram("dracut", "dracut", "dracut --force {image} {release}")
MKINITCPIO = ImageProgram("mkinitcpio", "mkinitcpio", "mkinitcpio -P")
_OWN_WAY = "this collection does not know its settings"
_USE_OTHERS = "use a generator that this collection configures"
OTHERS = (
    ImageProgram(
        "booster",
        "booster",
        "/usr/lib/booster/regenerate_images",
        unfit=NO_UDEV,
        instead="add the modules to `modules_force_load` in /etc/booster.yaml, and ids= to /etc/modprobe.d, or use mkinitcpio or dracut",
    ),
    ImageProgram(
        "mkinitfs",
        "mkinitfs",
        "mkinitfs {release}",
        unfit="its images have no udev",
        instead="add the modules to a file in /etc/mkinitfs/features.d",
    ),
    ImageProgram("tinyramfs", "tinyramfs", "tinyramfs -f -k {release} {image}", unfit=_OWN_WAY, instead=_USE_OTHERS),
    ImageProgram("ugrd", "ugrd", "ugrd --kver {release}", unfit=_OWN_WAY, instead=_USE_OTHERS),
    ImageProgram("genkernel", "genkernel", "genkernel initramfs", unfit=_OWN_WAY, instead=_USE_OTHERS),
    ImageProgram("mkosi-initrd", "mkosi-initrd", "mkosi-initrd --kernel-version {release}", unfit=_OWN_WAY, instead=_USE_OTHERS),
    ImageProgram("make-initrd", "make-initrd", "make-initrd -k {release}", unfit=_OWN_WAY, instead=_USE_OTHERS),
)
SERVED = (INITRAMFS_TOOLS, DRACUT, MKINITCPIO)


@dataclasses.dataclass(frozen=True)
class EntryProgram:
    """What makes all entries of systemd-boot from its own settings, so that changes in them are lost; ``native`` changes the settings."""

    command: str
    native: str


ENTRY_PROGRAMS = (
    # Pop!_OS
    EntryProgram("kernelstub", "run `kernelstub --add-options …`, or `--delete-options …`"),
    # CachyOS and Manjaro
    EntryProgram("sdboot-manage", "change LINUX_OPTIONS in /etc/sdboot-manage.conf and run `sdboot-manage gen`"),
    # Clear Linux and Solus
    EntryProgram("clr-boot-manager", "write them to a file in /etc/kernel/cmdline.d and run `clr-boot-manager update`"),
)
REINSTALL_KERNELS = "reinstall-kernels"


def entry_program(host: Host) -> EntryProgram | None:
    """The program that makes this host's entries of systemd-boot, if it is one that this collection does not run."""
    return next((one for one in ENTRY_PROGRAMS if host.which(one.command) is not None), None)


def unfit_program(host: Host) -> ImageProgram | None:
    """The program that builds this host's images, if it is one that takes no policy."""
    if any(one.is_installed(host) for one in SERVED):
        return None
    return next((one for one in OTHERS if one.is_installed(host)), None)


def rebuilding(host: Host) -> str:
    """How a person has this host's images built again: a sentence, with {release} and {image} still to be filled in."""
    native = native_way(host, "images")
    if native is not None:
        return native.replace("{", "{{").replace("}", "}}")
    if has_sdbootutil(host):
        return "Run `sdbootutil mkinitrd`."
    present = [one for one in SERVED if one.is_installed(host)] or [one for one in OTHERS if one.is_installed(host)]
    if not present:
        return "Rebuild that image."
    if present[0] is DRACUT and host.which(REINSTALL_KERNELS) is not None:
        return f"Run `{REINSTALL_KERNELS}`; it includes files of /etc with hostonly=yes, or with install_items+=."
    remark = "; it includes files of /etc with hostonly=yes, or with install_items+=" if present[0] is DRACUT else ""
    return f"Run `{present[0].rebuild}`{remark}."

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loaders whose choice cannot be determined, told by their files; and what bypasses every loader."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.efi_program import LIMINE, PARTITIONS
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import names_if_any
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import MODULES

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import BootFiles
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.menu import Menu, MenuItem
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

MAY_BOOT_WITH = "this host may boot with"
KEXEC_LOADED = "/sys/kernel/kexec_loaded"
PETITBOOT = "/sys/firmware/opal"
FIRMWARE_OF_BOARDS = {
    "/etc/zipl.conf": "zipl",
    "/boot/firmware/config.txt": "the Raspberry Pi's firmware",
}
"""Files of platforms that have one loader."""
LEFT_OVER = {
    "/etc/lilo.conf": "LILO",
    "/etc/elilo.conf": "ELILO",
    "/boot/refind_linux.conf": "rEFInd",
    "/boot/config.txt": "the Raspberry Pi's firmware",
}
"""Files that often remain on hosts that boot with another loader."""

BY_HAND = {
    "/etc/zipl.conf": "add them to `parameters` in {} and run `zipl`",
    "/etc/default/raspi-firmware": "add them to the line of /boot/firmware/cmdline.txt and, as a new kernel has that written again, to "
    "/etc/default/raspi-extra-cmdline",
    "/boot/firmware/cmdline.txt": "add them to the line of {}",
    "/boot/firmware/current/cmdline.txt": "add them to the line of {}",
    "/boot/cmdline.txt": "add them to the line of {}",
    "/boot/armbianEnv.txt": "add them to `extraargs` in {}",
    "/etc/zfsbootmenu/config.yaml": "set the property org.zfsbootmenu:commandline of the root's dataset by `zfs set`",
    "/boot/refind_linux.conf": "add them to each line of {}",
    "/etc/default/flash-kernel": "add them to LINUX_KERNEL_CMDLINE in {} and run `flash-kernel`",
    "/etc/lilo.conf": "add them to `append` in {} and run `lilo`",
    "/etc/elilo.conf": "add them to `append` in {} and run `elilo`",
}
"""How a person gives kernels arguments with loaders that have no program for it here, by the file that tells them."""


LIMINE_SETTINGS = "/etc/default/limine"
"""Of limine-entry-tool, which writes limine.conf again at each kernel upgrade."""


def by_hand(host: Host, menu: Menu | None = None) -> str | None:
    """As an instruction, for the loader whose ``menu`` is known; None where no such file says which loader boots."""
    if menu is not None and menu.loader == LIMINE:
        if host.is_file(LIMINE_SETTINGS):
            return f"add them to KERNEL_CMDLINE[default] in {LIMINE_SETTINGS} and run `limine-update`"
        return f"add them to the line `cmdline` of its entries in {menu.source}"
    if menu is not None:
        return next((way for way in (_of_item(host, item) for item in menu.kernels()) if way), None)
    return next((way.format(place) for place, way in BY_HAND.items() if host.is_file(place)), None)


def _of_item(host: Host, item: MenuItem) -> str | None:
    if item.source.startswith("the EFI variable"):
        return "have `efibootmgr --create … --unicode '…'` write that boot option again with them"
    if item.release is not None and is_prebuilt(host, item.kernel or "", item.release):
        addon = f"{item.kernel}.extra.d"
        return f"they are a part of its signed image; put an addon, made by `ukify build --cmdline=… --output=NAME.addon.efi`, into {addon}"
    return None


def is_prebuilt(host: Host, path: str, release: str) -> bool:
    """Whether a unified image is that of a kernel whose package brings it as such, like kernel-uki-virt."""
    return path.lower().endswith(".efi") and any(name.endswith(".efi") for name in names_if_any(host, f"{MODULES}/{release}"))


def beside(files: BootFiles, is_known: bool) -> t.Iterator[str]:
    """Doubts because of what else may decide what boots.  ``is_known``: a loader is, by its menu or by the firmware."""
    if files.host.text_or_none(KEXEC_LOADED) == "1":
        yield "A kernel is loaded for kexec: a reboot may start that one and bypass the boot loader."
    if files.host.is_dir(PETITBOOT):
        yield "This host boots with petitboot, which interprets the boot loader's configuration in its own way."
    for place, name in (FIRMWARE_OF_BOARDS if is_known else {**FIRMWARE_OF_BOARDS, **LEFT_OVER, **on_partitions()}).items():
        if files.host.is_file(place):
            yield f"{place}: {MAY_BOOT_WITH} {name}, whose default entry cannot be determined."


def on_partitions() -> dict[str, str]:
    """The files by which other loaders on the partitions are known."""
    refind = {f"{partition}/EFI/{folder}/refind.conf": "rEFInd" for partition in PARTITIONS for folder in ("refind", "BOOT")}
    # Before Limine 8 the file had another name and another syntax.
    folders = ("", "limine/", "boot/", "boot/limine/", "EFI/BOOT/")
    return {**refind, **{f"{partition}/{folder}limine.cfg": "an old Limine" for partition in PARTITIONS for folder in folders}}

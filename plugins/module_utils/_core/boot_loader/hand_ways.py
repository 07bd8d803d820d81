# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a person gives kernels arguments where no program of the loader does it here."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import extlinux
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.bls import FOLDERS_OF_GRUB
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.efi_program import LIMINE, REFIND
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.kernel_install import is_prebuilt
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.other_loaders import on_partitions
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import names_if_any

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.menu import Menu, MenuItem
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

ZIPL = "/etc/zipl.conf"
BY_HAND = {
    ZIPL: "add them to `parameters` in {} and run `zipl`",
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
    if menu is not None and menu.loader == extlinux.NAME:
        if "u-boot-update" in (host.text_or_none(menu.source) or ""):
            return "add them to U_BOOT_PARAMETERS in /etc/default/u-boot and run `u-boot-update`"
        return f"add them to the line `append` of its entries in {menu.source}"
    if menu is not None and menu.loader == REFIND:
        return next(_of_refind(host, menu))
    if menu is not None:
        return next((way for way in (_of_item(host, item) for item in menu.kernels()) if way), None)
    return _of_entries_for_zipl(host) or next(_of_files(host), None)


def _of_files(host: Host) -> t.Iterator[str]:
    yield from (way.format(place) for place, way in BY_HAND.items() if host.is_file(place))
    yield from _of_stanzas(host)


def _of_stanzas(host: Host) -> t.Iterator[str]:
    stanzas = (place for place, name in on_partitions().items() if name == REFIND and host.is_file(place))
    yield from (f"add them to `options` of its entry in {place}, or to a refind_linux.conf beside the kernel" for place in stanzas)


def _of_refind(host: Host, menu: Menu) -> t.Iterator[str]:
    """What is beside the kernels comes first: of its own entries nothing may be written down."""
    places = dict.fromkeys(item.source.rpartition(":")[0] for item in menu.items)
    yield from (f"add them to each line of {place}" for place in places if place.endswith("linux.conf"))
    yield from _of_stanzas(host)
    yield "put them into a refind_linux.conf beside the kernel"


def _of_entries_for_zipl(host: Host) -> str | None:
    """Where zipl reads entries in files, its own configuration has no `parameters`."""
    if not host.is_file(ZIPL) or not any(name.endswith(".conf") for folder in FOLDERS_OF_GRUB for name in names_if_any(host, folder)):
        return None
    return "run `grubby --update-kernel=ALL --args='…'` and then `zipl`"


def _of_item(host: Host, item: MenuItem) -> str | None:
    if item.source.startswith("the EFI variable"):
        return "have `efibootmgr --create … --unicode '…'` write that boot option again with them"
    if item.release is not None and is_prebuilt(host, item.kernel or "", item.release):
        addon = f"{item.kernel}.extra.d"
        return f"they are a part of its signed image; put an addon, made by `ukify build --cmdline=… --output=NAME.addon.efi`, into {addon}"
    return None

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which boot loader a host boots with: the menus that may be used at the next boot."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import boot_files as efi_variables
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import extlinux, grub, systemd_boot

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import BootFiles
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.menu import Menu

GRUB_CONFIGS = ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg")
SYSTEM_PARTITIONS = ("/boot/efi", "/efi")
RUNNING = "/proc/sys/kernel/osrelease"
KEXEC_LOADED = "/sys/kernel/kexec_loaded"
PETITBOOT = "/sys/firmware/opal"
OTHERS = {
    "/etc/zipl.conf": "zipl",
    "/etc/lilo.conf": "LILO",
    "/etc/elilo.conf": "ELILO",
    "/boot/limine.conf": "Limine",
    "/boot/refind_linux.conf": "rEFInd",
    "/boot/firmware/config.txt": "the Raspberry Pi's firmware",
    "/boot/config.txt": "the Raspberry Pi's firmware",
}
NOT_IN_CHARGE = frozenset(("/etc/lilo.conf", "/etc/elilo.conf", "/boot/limine.conf", "/boot/refind_linux.conf", "/boot/config.txt"))
"""Files that often remain on hosts that boot with another loader."""


class InCharge(t.NamedTuple):
    """The menus that may be used, and doubts about which it will be."""

    menus: tuple[Menu, ...]
    doubts: tuple[str, ...]


def read(files: BootFiles) -> InCharge:
    """Decided by the loader's own EFI variable, then by the firmware, then by what is installed."""
    menus = _offered(files)
    doubts = list(_beside(files, bool(menus)))
    if not menus:
        doubts += [f"{config} exists, but has no entry that can be read." for config in GRUB_CONFIGS if files.host.is_file(config)]
    info = efi_variables.text(files.host, "LoaderInfo")
    if info is not None:
        name = next((name for name in ("systemd-boot", "GRUB") if info.startswith(name)), None)
        own = tuple(menu for menu in menus if menu.loader == name)
        if not own:
            doubts.append(f"This host was booted by {info}, and no configuration of it was found that can be read.")
        return InCharge(own, tuple(doubts))
    if efi_variables.text(files.host, "StubInfo") is not None:
        doubts.append("The firmware started a unified kernel image directly, and also selects the next one.")
    if efi_variables.are_readable(files.host) and any(menu.loader != "systemd-boot" for menu in menus):
        # systemd-boot sets LoaderInfo whenever it runs.
        menus = tuple(menu for menu in menus if menu.loader != "systemd-boot")
    return InCharge(menus, tuple(doubts))


def _offered(files: BootFiles) -> tuple[Menu, ...]:
    host = files.host
    has_efi = host.is_dir(efi_variables.FIRMWARE)
    is_bios = host.is_file(RUNNING) and not has_efi
    found = list(_of_grub(files, has_efi, is_bios))
    other = extlinux.menu(files)
    if other is not None:
        found.append(other)
    own = None if is_bios else systemd_boot.menu(files)
    if own is not None and (not found or _is_installed(files)):
        found.append(own)
    return tuple(found)


def _is_installed(files: BootFiles) -> bool:
    """Whether systemd-boot itself is installed: entries alone do not show that, because GRUB reads the same ones."""
    if efi_variables.text(files.host, "LoaderInfo") is not None:
        return True
    return any(
        files.host.is_file(f"{partition}/loader/loader.conf") or files.names(f"{partition}/EFI/systemd")
        for partition in systemd_boot.PARTITIONS
    )


def _of_grub(files: BootFiles, has_efi: bool, is_bios: bool) -> tuple[Menu, ...]:
    """The distinct menus of GRUB.  With EFI firmware, those of files on the EFI system partition, if any."""
    own = [menu for menu in (grub.menu(files, config) for config in GRUB_CONFIGS if files.host.is_file(config)) if menu is not None]
    beside: list[Menu] = []
    for partition in () if is_bios else SYSTEM_PARTITIONS:
        for vendor in files.names(f"{partition}/EFI"):
            config = f"{partition}/EFI/{vendor}/grub.cfg"
            menu = grub.menu(files, config) if files.host.is_file(config) else None
            if menu is not None:
                beside.append(menu)
    found: list[Menu] = []
    for menu in beside if has_efi and beside else [*own, *beside]:
        if not any(menu.items == other.items and menu.default == other.default for other in found):
            found.append(menu)
    return tuple(found)


def _beside(files: BootFiles, is_known: bool) -> t.Iterator[str]:
    """Doubts because of what else may decide what boots."""
    if files.host.text_or_none(KEXEC_LOADED) == "1":
        yield "A kernel is loaded for kexec: a reboot may start that one and bypass the boot loader."
    if files.host.is_dir(PETITBOOT):
        yield "This host boots with petitboot, which interprets the boot loader's configuration in its own way."
    for place, name in OTHERS.items():
        if files.host.is_file(place) and not (is_known and place in NOT_IN_CHARGE):
            yield f"{place}: this host may boot with {name}, whose default entry cannot be determined."

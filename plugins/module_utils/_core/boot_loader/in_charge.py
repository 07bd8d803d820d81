# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which boot loader is in charge of a host: the menus that may be shown at the next boot."""

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
"""Files that are left behind on hosts that boot with something else."""


class InCharge(t.NamedTuple):
    """The menus that may be the one, and what cannot be told of the choice."""

    menus: tuple[Menu, ...]
    doubts: tuple[str, ...]


def read(files: BootFiles) -> InCharge:
    """By what the loader says of itself, by the firmware, by what is installed, in this order."""
    menus = _offered(files)
    doubts = list(_beside(files, bool(menus)))
    if not menus:
        doubts += [f"{config} is there, but no entry can be read in it." for config in GRUB_CONFIGS if files.host.is_file(config)]
    info = efi_variables.text(files.host, "LoaderInfo")
    if info is not None:
        name = next((name for name in ("systemd-boot", "GRUB") if info.startswith(name)), None)
        own = tuple(menu for menu in menus if menu.loader == name)
        if not own:
            doubts.append(f"This host was booted by {info}, of which no configuration is found that can be read here.")
        return InCharge(own, tuple(doubts))
    if efi_variables.text(files.host, "StubInfo") is not None:
        doubts.append("The firmware has started a unified kernel image by itself, and chooses the next one as well.")
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
    """Whether systemd-boot is there itself: GRUB reads the same entries."""
    if efi_variables.text(files.host, "LoaderInfo") is not None:
        return True
    return any(
        files.host.is_file(f"{partition}/loader/loader.conf") or files.names(f"{partition}/EFI/systemd")
        for partition in systemd_boot.PARTITIONS
    )


def _of_grub(files: BootFiles, has_efi: bool, is_bios: bool) -> tuple[Menu, ...]:
    """GRUB's menus that differ.  Where the firmware is EFI, the file beside GRUB on its partition comes first."""
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
    """What else may decide."""
    if files.host.text_or_none(KEXEC_LOADED) == "1":
        yield "A kernel is loaded for kexec: a reboot may start that one, past the boot loader."
    if files.host.is_dir(PETITBOOT):
        yield "This host boots by petitboot, which reads the boot loader's configuration in its own way."
    for place, name in OTHERS.items():
        if files.host.is_file(place) and not (is_known and place in NOT_IN_CHARGE):
            yield f"{place}: this host may boot by {name}, whose choice cannot be read here."

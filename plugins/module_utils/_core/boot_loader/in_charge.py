# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which boot loader a host boots with: the menus that may be used at the next boot."""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import (
    efi_program,
    extlinux,
    firmware,
    grub,
    limine,
    other_loaders,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import PARTITIONS, BootFiles
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.efi_program import GRUB, REFIND, SYSTEMD_BOOT, Program
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.suse_loader import has_grub_with_entries
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import efi_variables
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import OSRELEASE

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.firmware import ChosenOption
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.menu import Menu
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

GRUB_CONFIGS = ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg")
PROXMOX = "/etc/kernel/proxmox-boot-uuids"
LOADER_TYPE = "/proc/sys/kernel/bootloader_type"
# Documentation/arch/x86/boot.rst, type_of_loader.  Not kexec-tools and Xen, which a loader of these starts.
STARTERS = {3: extlinux.NAME, 4: "iPXE", 7: GRUB, 8: extlinux.NAME, 0xB: "QEMU"}
LONGEST_NUMBER = 4
NOT_BY_GRUB = "The running kernel has no BOOT_IMAGE=, which GRUB gives to each: another loader started it, and may start the next one."


class InCharge(t.NamedTuple):
    """The menus that may be used, and doubts about which it will be.

    ``is_hidden``: the loader is known, and its menu is on no partition that is mounted.
    """

    menus: tuple[Menu, ...]
    doubts: tuple[str, ...]
    is_hidden: bool = False


def read(files: BootFiles) -> InCharge:
    """Decided by what the firmware starts next, by what the running loader says of itself, then by what is installed."""
    choice = firmware.next_choice(files.host)
    program = None if choice is None else _program(files, choice)
    if program is not None and choice is not None and program.kind in (efi_program.KERNEL, efi_program.UNIFIED):
        from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import direct_start

        menu = direct_start.menu(files, program, choice)
        if menu is not None:
            return InCharge((menu,), tuple(other_loaders.beside(files, True)))
    kind = _running(files) if program is None or (program.kind is None and choice is not None and choice.is_current) else program.kind
    if kind is not None or program is not None:
        return _of_kind(files, kind, choice, program)
    found = _of_what_is_installed(files)
    if choice is None or not choice.option.is_network:
        return found
    doubt = (
        f"{choice.source} names {choice.option}: this host boots from the network, which may start something else than what is installed."
    )
    return InCharge(found.menus, (doubt, *found.doubts), not found.menus)


def _program(files: BootFiles, choice: ChosenOption) -> Program | None:
    """What the choice starts.  Of the option that the running system came by, the loader's own variables tell more than its name."""
    option = choice.option
    path = option.file or (firmware.FALLBACK if option.is_on_disk else "")
    found = efi_program.find(files, path) if path else Program(None, None)
    if not choice.is_current:
        return found
    said = _running(files)
    if said is not None:
        return Program(said, found.place)
    if not path or found.kind is None:
        return None
    # systemd-boot would have named itself.
    return None if found.kind == SYSTEMD_BOOT else found


def _running(files: BootFiles) -> str | None:
    """The loader that says that it booted the running system; None if none does."""
    info = efi_variables.text(files.host, "LoaderInfo")
    return None if info is None else next((name for name in efi_program.LOADERS if info.startswith(name)), info)


def _of_kind(files: BootFiles, kind: str | None, choice: ChosenOption | None, program: Program | None) -> InCharge:
    """The menus of the loader that comes, if they can be read."""
    place = program.place if choice is not None and program is not None else None
    if kind == REFIND:
        menus = _of_refind(files, place)
    else:
        folder = posixpath.dirname(place) if kind == GRUB and place else ""
        menus = () if kind is None else tuple(menu for menu in _offered(files, kind, folder) if menu.loader == kind)
    doubts = list(other_loaders.beside(files, True))
    if menus:
        doubts += _seen_at_the_last_boot(files, menus)
        doubts += _unmounted(files)
        return InCharge(menus, tuple(doubts))
    if choice is not None and not choice.is_current:
        where = f", {choice.option.file}" if choice.option.file else ""
        what = f"starts {kind}" if kind in efi_program.LOADERS else "starts a program that cannot be identified"
        doubts.append(f"{choice.source} names {choice.option}{where}: it {what}, and no configuration of it was found that can be read.")
    elif kind == efi_program.UNIFIED or (kind is None and efi_variables.text(files.host, "StubInfo") is not None):
        doubts.append("The firmware starts a unified kernel image directly, which is on no partition that is mounted.")
    else:
        by = kind or (str(choice.option) if choice is not None else "a loader that cannot be identified")
        said = efi_variables.text(files.host, "LoaderInfo") or by
        doubts.append(f"This host was booted by {said}, and no configuration of it was found that can be read.")
    doubts += _unmounted(files)
    return InCharge((), tuple(doubts), True)


def _of_what_is_installed(files: BootFiles) -> InCharge:
    """Without a word from the firmware or the loader."""
    host = files.host
    menus = _offered(files, None, "")
    doubts = list(other_loaders.beside(files, bool(menus)))
    if not menus:
        doubts += [f"{config} exists, but has no entry that can be read." for config in GRUB_CONFIGS if host.is_file(config)]
    if efi_variables.text(host, "StubInfo") is not None:
        doubts.append("The firmware started a unified kernel image directly, and also selects the next one.")
        return InCharge((), tuple(doubts), True)
    if efi_variables.are_readable(host):
        # systemd-boot sets LoaderInfo whenever it runs.
        others = tuple(menu for menu in menus if menu.loader != SYSTEMD_BOOT)
        if menus and not others:
            doubts.append("systemd-boot did not boot this host, and no other loader's configuration was found that can be read.")
        menus = others
    hidden = tuple(_unmounted(files))
    if hidden:
        return InCharge((), (*doubts, *hidden), True)
    starter = _starter(host)
    if starter is not None and menus:
        others = tuple(menu for menu in menus if menu.loader == starter)
        if not others:
            doubts.append(f"The running kernel was started by {starter}, not by {menus[0].loader} ({LOADER_TYPE}).")
            return InCharge((), tuple(doubts), True)
        menus = others
    if any(menu.loader == GRUB for menu in menus) and _was_booted_without_grub(host):
        doubts.append(NOT_BY_GRUB)
    return InCharge(menus, tuple(doubts), not menus and (bool(doubts) or host.is_dir(efi_variables.FIRMWARE)))


def _starter(host: Host) -> str | None:
    """What started the running kernel without EFI, by the number that each loader has; None if that tells nothing."""
    number = host.text_or_none(LOADER_TYPE) or ""
    if host.is_dir(efi_variables.FIRMWARE) or not host.is_file(OSRELEASE) or not number.isdecimal() or len(number) > LONGEST_NUMBER:
        return None
    return STARTERS.get(int(number) >> 4)


def _was_booted_without_grub(host: Host) -> bool:
    """GRUB gives each kernel its file's name (grub-core/loader/i386/linux.c); where another loader is likely, its absence tells."""
    given = Cmdline.read(host)
    is_likely = host.is_dir(efi_variables.FIRMWARE) or bool(given.values("initrd"))
    return is_likely and host.is_file(OSRELEASE) and bool(given.arguments) and not given.values("BOOT_IMAGE")


def _unmounted(files: BootFiles) -> t.Iterator[str]:
    """A doubt if kernels boot from copies that cannot be read."""
    is_mounted = any(files.host.is_dir(f"{partition}/EFI/proxmox") for partition in PARTITIONS)
    if files.host.text_or_none(PROXMOX) and not is_mounted:
        yield f"{PROXMOX}: proxmox-boot-tool copies kernels and arguments to partitions that are not mounted, so these cannot be read."


def _seen_at_the_last_boot(files: BootFiles, menus: t.Sequence[Menu]) -> t.Iterator[str]:
    """A doubt if systemd-boot's list has none of the entries that were found: it reads another partition."""
    entries = efi_variables.texts(files.host, "LoaderEntries")
    if not entries:
        return
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.systemd_boot import identified

    shown = {identified(name)[0] for name in entries}
    for menu in menus:
        if menu.loader == SYSTEMD_BOOT and shown.isdisjoint(item.id for item in menu.items):
            places = " or ".join(files.partitions)
            yield f"systemd-boot showed {', '.join(sorted(shown))} at the last boot, none of which is below {places}."


def _of_refind(files: BootFiles, place: str | None) -> tuple[Menu, ...]:
    """Its menu, and those of the loaders that it may start, unless it is known to boot a kernel by itself."""
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import refind

    menu = refind.menu(files, place)
    if menu is None:
        return ()
    return (menu,) if menu.default is not None else (menu, *_offered(files, None, ""))


def _offered(files: BootFiles, kind: str | None, folder: str) -> tuple[Menu, ...]:
    """The menus of what is installed; of one ``kind`` if that is known, GRUB's first from its program's ``folder``."""
    host = files.host
    has_efi = host.is_dir(efi_variables.FIRMWARE)
    is_bios = host.is_file(OSRELEASE) and not has_efi
    found = list(_of_grub(files, has_efi, is_bios, folder)) if kind in (None, GRUB) else []
    other = extlinux.menu(files) if kind in (None, extlinux.NAME) else None
    if other is not None:
        found.append(other)
    other = limine.menu(files) if kind in (None, efi_program.LIMINE) else None
    if other is not None:
        found.append(other)
    own = None if is_bios or kind not in (None, SYSTEMD_BOOT) else _of_systemd_boot(files)
    if own is not None and (kind is not None or not found or _is_installed(files)):
        found.append(own)
    return tuple(found)


def _of_systemd_boot(files: BootFiles) -> Menu | None:
    # Of most hosts the firmware, or another loader, is known to start something else.
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import systemd_boot

    return systemd_boot.menu(files)


def _is_installed(files: BootFiles) -> bool:
    """Whether systemd-boot itself is installed: entries alone do not show that, because GRUB reads the same ones."""
    places = files.partitions
    return any(files.host.is_file(f"{place}/loader/loader.conf") or files.names(f"{place}/EFI/systemd") for place in places)


def _of_grub(files: BootFiles, has_efi: bool, is_bios: bool, folder: str) -> tuple[Menu, ...]:
    """The distinct menus of GRUB.  With EFI firmware, those of files on the EFI system partition, if any."""
    if has_grub_with_entries(files.host):
        from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import grub_entries

        menu = grub_entries.menu(files)
        return () if menu is None else (menu,)
    own = [menu for menu in (grub.menu(files, config) for config in GRUB_CONFIGS if files.host.is_file(config)) if menu is not None]
    beside: list[Menu] = []
    for config in () if is_bios else _grub_configs(files, folder):
        menu = grub.menu(files, config)
        if menu is not None:
            beside.append(menu)
    found: list[Menu] = []
    for menu in beside if has_efi and beside else [*own, *beside]:
        if not any(menu.items == other.items and menu.default == other.default for other in found):
            found.append(menu)
    return tuple(found)


def _grub_configs(files: BootFiles, folder: str) -> list[str]:
    """Those of the EFI system partition: only the one beside GRUB's own program, if it is known and has one."""
    if folder and files.host.is_file(f"{folder}/grub.cfg"):
        return [f"{folder}/grub.cfg"]
    configs = (f"{partition}/EFI/{vendor}/grub.cfg" for partition in files.partitions for vendor in files.names(f"{partition}/EFI"))
    return [config for config in configs if files.host.is_file(config)]

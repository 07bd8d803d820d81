# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""By which supported way a host's kernel arguments are changed: that of the program which makes the entries it really boots with."""

from __future__ import annotations

import dataclasses
import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import extlinux, in_charge, kernel_install
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import PARTITIONS, BootFiles
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.efi_program import GRUB, SYSTEMD_BOOT
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.families import (
    ENTRIES,
    GRUB_MKCONFIG,
    GRUBBY,
    KERNEL_INSTALL,
    MKINITCPIO,
    PROXMOX_BOOT_TOOL,
    SDBOOTUTIL,
    U_BOOT_UPDATE,
    Family,
    family,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.os_release import names
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.programs import entry_program
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.suse_loader import has_sdbootutil
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.shell_assignments import Assignments
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import efi_variables
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import CMDLINE, Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import MODULES

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.in_charge import InCharge
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.menu import Menu, MenuItem
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

FIRMWARE = "the firmware"
PROXMOX_UUIDS = "/etc/kernel/proxmox-boot-uuids"
TOKENS, MACHINE_ID = ("/etc/kernel/entry-token", "/usr/lib/kernel/entry-token"), "/etc/machine-id"
MACHINE_INFO, OF_KERNEL_INSTALL = "/etc/machine-info", "KERNEL_INSTALL_MACHINE_ID"
"""Where kernel-install of systemd 249 and 250 wrote down the ID that it used, which newer ones still take."""
GIVEN_ID = re.compile(r"[0-9a-f]{32}")
BY_MKCONFIG = "### BEGIN /etc/grub.d/"
BY_KERNEL_INSTALL = re.compile(r"^# File created by .*install\.d/", re.MULTILINE)
COUNTED = re.compile(r"\+\d+(?:-\d+)?$")
MKCONFIG = ("grub2-mkconfig", "grub-mkconfig")
# What may come besides, and does not say that another loader is in charge.
HARMLESS = ("A kernel is loaded for kexec",)
SEEN = 6


@dataclasses.dataclass(frozen=True)
class Way:
    """``loader`` boots, from ``config``; ``method`` is how its arguments are changed.

    ``items`` are its entries of Linux that are no recovery entries; empty if they are on partitions that are not mounted.
    """

    loader: str
    method: str
    config: str
    items: tuple[MenuItem, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def places(self) -> tuple[str, ...]:
        """The files of the entries."""
        return tuple(dict.fromkeys(place_of(item.source) for item in self.items))

    @property
    def is_hidden(self) -> bool:
        return not self.items


def find(host: Host) -> Way:
    """Raises HostError, in a sentence that says what was seen, unless there is exactly one."""
    files = BootFiles(host)
    here = family(host)
    found = in_charge.read(files)
    if host.text_or_none(PROXMOX_UUIDS) and host.which(PROXMOX_BOOT_TOOL) is not None:
        return _of_proxmox(host, found)
    doubts = tuple(doubt for doubt in found.doubts if not doubt.startswith(HARMLESS))
    if len(found.menus) != 1 or doubts:
        ways = dict.fromkeys(_by_hand(host, menu) or here.native for menu in (found.menus or (None,)))
        raise HostError(_unclear(host, found, doubts), f"Where it is clear to you which loader boots: {'; or '.join(ways)}.")
    menu = found.menus[0]
    items = tuple(item for item in menu.kernels() if not item.is_recovery and _is_of_this_host(host, files, item))
    if not items:
        raise HostError(
            f"{menu.source}: {menu.loader} has no entry of a kernel that is installed here.",
            f"See to it: {_by_hand(host, menu) or here.native}.",
        )
    makers = {item: _maker(files, menu, item) for item in items}
    methods = dict.fromkeys(makers.values())
    method = next(iter(methods))
    if menu.loader == SYSTEMD_BOOT and {None, ENTRIES} & set(methods):
        _refuse_foreign_program(host, items)
    if len(methods) > 1 or method is None or method not in here.methods:
        raise HostError(_unmade(menu, makers, here), f"By hand: {_by_hand(host, menu) or here.native}.")
    return Way(menu.loader, method, _config(menu, items), items, found.doubts)


def _by_hand(host: Host, menu: Menu | None = None) -> str | None:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import hand_ways

    return hand_ways.by_hand(host, menu)


def _refuse_foreign_program(host: Host, items: t.Sequence[MenuItem]) -> None:
    program = entry_program(host)
    if program is not None:
        places = ", ".join(dict.fromkeys(place_of(item.source) for item in items[:SEEN]))
        raise HostError(
            f"{SYSTEMD_BOOT} boots from entries that {program.command} makes, which this collection does not change: {places}.",
            f"By hand: {program.native}.",
        )


def place_of(source: str) -> str:
    """The file that an entry is in, of the file and line that name it."""
    path, _colon, number = source.rpartition(":")
    return path if number.isdigit() else source


def is_bls(item: MenuItem) -> bool:
    return place_of(item.source).endswith(".conf") and posixpath.dirname(place_of(item.source)).endswith("/loader/entries")


def is_unified(item: MenuItem) -> bool:
    return (item.kernel or "").lower().endswith(".efi")


def _is_of_this_host(host: Host, files: BootFiles, item: MenuItem) -> bool:
    """Not a memory test, and not another system's kernel, which this one's programs do not write entries for."""
    return (
        item.kernel is not None and (files.find(item.kernel) is not None) and "memtest" not in item.kernel and not _is_foreign(host, item)
    )


def _is_foreign(host: Host, item: MenuItem) -> bool:
    return item.release is not None and bool(host.names(MODULES)) and not host.is_dir(f"{MODULES}/{item.release}")


def _config(menu: Menu, items: t.Sequence[MenuItem]) -> str:
    """The file that grub-mkconfig writes: one on the EFI system partition only names it."""
    return place_of(items[0].source) if menu.loader == GRUB and not is_bls(items[0]) else menu.source


# -- who makes an entry


def _maker(files: BootFiles, menu: Menu, item: MenuItem) -> str | None:
    host = files.host
    if menu.loader in (GRUB, SYSTEMD_BOOT) and (is_bls(item) or is_unified(item)) and has_sdbootutil(host):
        return SDBOOTUTIL
    if menu.loader == GRUB and not is_unified(item):
        return _maker_of_grub(files, item)
    if menu.loader == extlinux.NAME:
        return _maker_of_extlinux(files, item)
    if menu.loader not in (GRUB, SYSTEMD_BOOT, FIRMWARE):
        return None
    if is_unified(item):
        return _maker_of_unified(files, item)
    if not is_bls(item):
        return None
    return KERNEL_INSTALL if _is_by_kernel_install(files, item) else ENTRIES


def _maker_of_grub(files: BootFiles, item: MenuItem) -> str | None:
    host = files.host
    if is_bls(item):
        return GRUBBY if host.which("grubby") is not None else None
    has_program = any(host.which(name) is not None for name in ("update-grub", *MKCONFIG))
    return GRUB_MKCONFIG if has_program and BY_MKCONFIG in (files.text(place_of(item.source)) or "") else None


def _maker_of_extlinux(files: BootFiles, item: MenuItem) -> str | None:
    text = files.text(place_of(item.source)) or ""
    if "u-boot-update" not in text:
        return ENTRIES
    return U_BOOT_UPDATE if files.host.which(U_BOOT_UPDATE) is not None else None


def _maker_of_unified(files: BootFiles, item: MenuItem) -> str | None:
    if any(item.kernel == place for place in images_of_presets(files)):
        return MKINITCPIO if files.host.which("mkinitcpio") is not None else None
    return KERNEL_INSTALL if _is_by_kernel_install(files, item) else None


def _is_by_kernel_install(files: BootFiles, item: MenuItem) -> bool:
    """By what it writes into an entry, or by the name that it gives to entries and unified images."""
    is_named = is_named_by_kernel_install(files.host, item.kernel or "" if is_unified(item) else place_of(item.source), item.release)
    if is_named or is_unified(item) or files.host.which(KERNEL_INSTALL) is None:
        return is_named
    return BY_KERNEL_INSTALL.search(files.text(place_of(item.source)) or "") is not None


def is_named_by_kernel_install(host: Host, path: str, release: str | None) -> bool:
    """Whether an entry or a unified image of a kernel has the name that kernel-install, which is here, gives to it.

    Not one that it only copies, because the kernel's package brings it.
    """
    if release is not None and kernel_install.is_prebuilt(host, path, release):
        return False
    name = posixpath.basename(path).rpartition(".")[0]
    named = {f"{token}-{release}" for token in _tokens(host) if release}
    return COUNTED.sub("", name) in named and host.which(KERNEL_INSTALL) is not None


def is_copied_by_kernel_install(host: Host, path: str, release: str) -> bool:
    """Whether a file is in the folder of a kernel that kernel-install, which is here, copies its files into."""
    folders = tuple(f"/{token}/{release}" for token in _tokens(host))
    return posixpath.dirname(path).endswith(folders) and host.which(KERNEL_INSTALL) is not None


def _tokens(host: Host) -> tuple[str, ...]:
    """What may begin the names: where the machine has no ID yet, as in an image, those of its system.  (boot_entry_token_ensure())"""
    written = next((text.split("\n", 1)[0] for text in map(host.text_or_none, TOKENS) if text), "")
    used = (Assignments.parse(host.text_or_none(MACHINE_INFO) or "").get(OF_KERNEL_INSTALL) or "").replace("-", "")
    own = used or host.text_or_none(MACHINE_ID) or ""
    known = names(host)
    return tuple(token for token in (written, *((own,) if GIVEN_ID.fullmatch(own) else (known.image, known.id))) if token)


def images_of_presets(files: BootFiles) -> tuple[str, ...]:
    """The unified images that mkinitcpio's presets name, by the host's paths."""
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import line_files

    return tuple(one.image for one in line_files.unified_presets(files))


def _of_proxmox(host: Host, found: InCharge) -> Way:
    """Which loader is on its partitions, by what the running kernel was started with: the partitions are not mounted."""
    given = Cmdline.read(host)
    info = efi_variables.text(host, "LoaderInfo") or ""
    is_grub = bool(given.values("BOOT_IMAGE")) or info.startswith(GRUB)
    is_systemd_boot = info.startswith(SYSTEMD_BOOT) or any("EFI\\proxmox\\" in value for value in given.values("initrd"))
    if is_grub == is_systemd_boot:
        raise HostError(
            f"{PROXMOX_UUIDS}: proxmox-boot-tool makes the entries, and neither the running kernel's arguments nor the EFI variable "
            f"LoaderInfo ({info or 'not set'}) say whether GRUB or systemd-boot reads them.",
            "Boot once by it.",
        )
    loader = GRUB if is_grub else SYSTEMD_BOOT
    mounted = tuple(menu for menu in found.menus if menu.loader == loader and any(is_copy(item.kernel or "") for item in menu.kernels()))
    items = tuple(item for menu in mounted for item in menu.kernels() if not item.is_recovery)
    return Way(loader, PROXMOX_BOOT_TOOL, mounted[0].source if mounted else PROXMOX_UUIDS, items, found.doubts)


def is_copy(kernel: str) -> bool:
    """Whether a kernel is where proxmox-boot-tool copies kernels to."""
    return any(kernel.startswith(f"{partition}/EFI/proxmox/") for partition in PARTITIONS)


# -- what was seen


def _unclear(host: Host, found: InCharge, doubts: t.Sequence[str]) -> str:
    seen = " and ".join(f"{menu.loader} ({menu.source})" for menu in found.menus)
    if not found.menus:
        from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import unmounted

        seen = "no configuration of a boot loader that can be read"
        doubts = (*unmounted.said(host), *doubts)
    return " ".join((f"Which boot loader is in charge cannot be determined: there is {seen}.", *doubts[:SEEN]))


def _unmade(menu: Menu, makers: t.Mapping[MenuItem, str | None], here: Family) -> str:
    by = {maker: [item.source for item, one in makers.items() if one == maker] for maker in dict.fromkeys(makers.values())}
    parts = [f"by {maker or 'no program that is known and installed'} ({', '.join(places[:SEEN])})" for maker, places in by.items()]
    known = ", ".join(here.methods)
    return f"{menu.loader} boots from entries that are made {' and '.join(parts)}: on {here.name} the ways are {known}."


def running_arguments(host: Host) -> tuple[str, ...] | None:
    """What the running kernel was given; None where none runs."""
    return Cmdline.read(host).arguments if host.is_file(CMDLINE) else None

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel arguments in settings that the next boot does not have: grub.cfg is older, or another loader starts the host."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import kernel_install
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.efi_program import GRUB, SYSTEMD_BOOT
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.shell_assignments import Assignments
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import BootFiles
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.menu import Menu, MenuItem

SETTINGS = "/etc/default/grub"
FOLDER = "/etc/default/grub.d"
VARIABLES = ("GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT")
KERNEL_INSTALL = "/etc/kernel/cmdline"
"""Of kernel-install, ukify and proxmox-boot-tool."""
ABOUT_DRIVERS = re.compile(
    r"(?:intel_iommu|amd_iommu|iommu|modprobe\.blacklist|module_blacklist|initcall_blacklist|vfio[\w-]*\.\w+|pci[-_]stub\.ids|rd\.driver\.\w+)=.+"
)


def warnings(files: BootFiles, menu: Menu, item: MenuItem) -> tuple[str, ...]:
    """A sentence for each variable that was changed after grub.cfg was generated and is not contained in the default entry.

    Arguments for drivers have to be in it whenever grub.cfg was written: a copy, or a restored backup, has the time of its own writing.
    """
    generated = item.source.rpartition(":")[0]
    # The arguments of a unified image are its own.
    if item.is_recovery or "xen" in item.id or (menu.loader == GRUB and (item.kernel or "").lower().endswith(".efi")):
        return ()
    # GRUB's entries in files of their own are of kernel-install, which reads its own settings.
    is_of_kernel_install = menu.loader == GRUB and ".conf:" in item.source
    other = None if is_of_kernel_install else _of_another_loader(files, menu, item)
    if other is not None or menu.loader != GRUB:
        return () if other is None else (other,)
    texts = {place: text for place in _settings(files) for text in (files.text(place),) if text is not None}
    is_older = _is_older(files, generated)
    assignments = Assignments.parse("\n".join(texts.values()))
    given = {without_quotes(word) for word in Cmdline.parse(item.arguments).arguments}
    found: list[str] = []
    for name in VARIABLES:
        value = assignments.get(name)
        if value is None or name in assignments.unknown:
            continue
        words = [word for word in Cmdline.parse(value).arguments if "$" not in word and without_quotes(word) not in given]
        missing = words if is_older else [word for word in words if _is_about_drivers(word, item)]
        if missing:
            command = _update_command(files, menu, item, " ".join(missing))
            place = _place(texts, name)
            found.append(
                f'{place} sets {name}="{" ".join(value.split())}", but {item.source} does not have {" ".join(missing)}: run `{command}`.'
            )
    return tuple(found)


def _of_another_loader(files: BootFiles, menu: Menu, item: MenuItem) -> str | None:
    """A sentence about arguments for drivers in the settings that the loader in charge does not read."""
    given = {without_quotes(word) for word in Cmdline.parse(item.arguments).arguments}
    if menu.loader == SYSTEMD_BOOT:
        text, place = "\n".join(files.text(path) or "" for path in _settings(files)), SETTINGS
        assignments = Assignments.parse(text)
        values = [assignments.get(name) or "" for name in VARIABLES if name not in assignments.unknown]
        there = KERNEL_INSTALL if files.host.is_file(KERNEL_INSTALL) else item.source.rpartition(":")[0]
    elif menu.loader == GRUB:
        values, place, there = [files.text(KERNEL_INSTALL) or ""], KERNEL_INSTALL, SETTINGS
    else:
        return None
    words = [word for value in values for word in Cmdline.parse(value).arguments if ABOUT_DRIVERS.fullmatch(without_quotes(word))]
    missing = " ".join(word for word in dict.fromkeys(words) if without_quotes(word) not in given)
    if not missing:
        return None
    command = _refresh_command(files, menu, item) if there in (KERNEL_INSTALL, SETTINGS) else ""
    said = f"{place} has {missing}, but {menu.loader} starts this host, which takes its arguments from elsewhere"
    return f"{said}: write them into {there}{f' and run `{command}`' if command else ''}."


def _refresh_command(files: BootFiles, menu: Menu, item: MenuItem) -> str:
    if menu.loader == GRUB:
        return "update-grub" if files.host.which("update-grub") is not None else f"grub-mkconfig -o {menu.source}"
    if files.host.which("proxmox-boot-tool") is not None:
        return "proxmox-boot-tool refresh"
    try:
        return " ".join(kernel_install.command(files.host, item.release or ""))
    except HostError:
        return "kernel-install add-all"


def _settings(files: BootFiles) -> list[str]:
    return [SETTINGS, *(f"{FOLDER}/{name}" for name in files.names(FOLDER) if name.endswith(".cfg"))]


def _is_older(files: BootFiles, generated: str) -> bool:
    """Whether one of the settings files is newer than grub-mkconfig's output."""
    result = files.host.stat(generated)
    changes = [status.st_mtime_ns for status in map(files.host.stat, _settings(files)) if status is not None]
    return result is not None and bool(changes) and max(changes) > result.st_mtime_ns


def _is_about_drivers(word: str, item: MenuItem) -> bool:
    """Entries in files of their own can be given arguments by themselves."""
    return ".conf:" not in item.source and ABOUT_DRIVERS.fullmatch(without_quotes(word)) is not None


def _place(texts: t.Mapping[str, str], name: str) -> str:
    """The path of the last file that sets the variable."""
    places = [place for place, text in texts.items() if re.search(rf"^[ \t]*(?:export[ \t]+)?{name}\+?=", text, re.MULTILINE)]
    return places[-1] if places else SETTINGS


def _update_command(files: BootFiles, menu: Menu, item: MenuItem, missing: str) -> str:
    if ".conf:" in item.source:
        return f"grubby --update-kernel=ALL --args='{missing}'"
    if files.host.which("update-grub") is not None:
        return "update-grub"
    command = next((name for name in ("grub2-mkconfig", "grub-mkconfig") if files.host.which(name) is not None), "grub-mkconfig")
    return f"{command} -o {menu.source}"


def without_quotes(word: str) -> str:
    """An argument without quotes and backslashes, which GRUB and the shell use differently."""
    return re.sub(r"[\\\"']", "", word)

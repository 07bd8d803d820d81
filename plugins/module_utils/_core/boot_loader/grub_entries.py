# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The menu of openSUSE's GRUB that has no grub.cfg: it reads the entries on its own partition.  (sdbootutil: get_default_grub2_bls())"""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import grub_environment, systemd_boot
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.efi_program import GRUB
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.menu import Menu
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import efi_variables

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import BootFiles
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.menu import MenuItem

VARIABLES = ("LoaderEntryOneShot", "LoaderEntryDefault")


def menu(files: BootFiles) -> Menu | None:
    """None if there are no entries."""
    own = systemd_boot.menu(files)
    items = () if own is None else tuple(item for item in own.items if item.source.rpartition(":")[0].endswith(".conf"))
    if not items:
        return None
    default, why = _default(files, items)
    return Menu(GRUB, items[0].source.rpartition("/")[0], items, default, why)


def _default(files: BootFiles, items: t.Sequence[MenuItem]) -> tuple[MenuItem, str]:
    """That of an EFI variable, that of the environment beside the program, the first."""
    for source, value in _named(files):
        found = next((item for item in items if item.id in (value.lower(), f"{value.lower()}.conf")), None)
        if found is not None:
            return found, f"{source} names {value}"
    return items[0], "the first entry is the default"


def _named(files: BootFiles) -> t.Iterator[tuple[str, str]]:
    for name in VARIABLES:
        value = efi_variables.text(files.host, name)
        if value:
            yield f"the EFI variable {name}", value
    for partition in files.partitions:
        for folder in files.names(f"{partition}/EFI"):
            place = f"{partition}/EFI/{folder}/grubenv"
            value = grub_environment.parse(files.text(place) or "").get("default")
            if value:
                yield place, value

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loaders whose choice cannot be determined, told by their files; and what bypasses every loader."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import PARTITIONS, BootFiles
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.efi_program import REFIND

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
    "/boot/refind_linux.conf": REFIND,
    "/boot/config.txt": "the Raspberry Pi's firmware",
}
"""Files that often remain on hosts that boot with another loader."""


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
    refind = {f"{partition}/EFI/{folder}/refind.conf": REFIND for partition in PARTITIONS for folder in ("refind", "BOOT")}
    # Before Limine 8 the file had another name and another syntax.
    folders = ("", "limine/", "boot/", "boot/limine/", "EFI/BOOT/")
    return {**refind, **{f"{partition}/{folder}limine.cfg": "an old Limine" for partition in PARTITIONS for folder in folders}}

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel, or a unified kernel image, that the firmware starts itself: a menu of one entry.  (Linux: drivers/firmware/efi/libstub)"""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import efi_program, kernel_image, unified_entry
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import BootFiles, partition_of
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.menu import Menu, MenuItem

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.efi_program import Program
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.firmware import ChosenOption

INITRD = "initrd="


def menu(files: BootFiles, program: Program, choice: ChosenOption) -> Menu | None:
    """None if the program is neither, or is on no partition that is mounted."""
    option, place = choice.option, program.place
    if place is None:
        return None
    why = f"{choice.source} names {option}, which is {place}"
    doubts = (f"The data of {option} is not text in UTF-16, as {place} reads its arguments.",) if option.has_other_data else ()
    if program.kind == efi_program.UNIFIED:
        image = kernel_image.read(files.host, place)
        if image is None:
            return None
        item = unified_entry.item(files, image, option.name, place, option.arguments)
        return Menu("the firmware", option.name, (item,), item, why, doubts)
    if program.kind != efi_program.KERNEL:
        return None
    title = option.title or option.name
    initrds = of_arguments(option.arguments, place)
    item = MenuItem(title, option.name, f"the EFI variable {option.name}", place, option.arguments, initrds)
    return Menu("the firmware", option.name, (item,), item, why, doubts)


def of_arguments(arguments: str, kernel: str) -> tuple[str, ...]:
    """The images that the kernel's EFI stub loads because of `initrd=`: files on the kernel's own partition, by the host's paths."""
    partition = partition_of(kernel)
    words = (word[len(INITRD) :] for word in arguments.split() if word.startswith(INITRD))
    return tuple(f"{partition}/{word.replace(chr(92), '/').lstrip('/')}" for word in words if word)

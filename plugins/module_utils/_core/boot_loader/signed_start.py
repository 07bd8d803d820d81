# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""shim, and the GRUB that it starts: with Secure Boot they verify what comes next, and shim hands over the machine owner's keys."""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import efi_program, firmware

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import BootFiles


class SignedStart(t.NamedTuple):
    """The host's paths of the two programs."""

    shim: str
    grub: str


def read(files: BootFiles) -> SignedStart | None:
    """None where the firmware starts something else next, or where that cannot be determined."""
    choice = firmware.next_choice(files.host)
    # shim takes an option's data as the name of another program to start (parse_load_options() in load-options.c).
    if choice is None or choice.option.is_network or choice.option.arguments:
        return None
    path = choice.option.file or firmware.FALLBACK
    for partition in files.partitions:
        shim = files.find_on(partition, path)
        if shim is None or efi_program.by_content(files.host, shim) != efi_program.SHIM:
            continue
        seconds = (files.find_on(partition, posixpath.join(posixpath.dirname(path), name)) for name in efi_program.SECOND_STAGES)
        second = next((found for found in seconds if found), None)
        if second is not None and efi_program.by_content(files.host, second) == efi_program.GRUB:
            return SignedStart(shim, second)
    return None

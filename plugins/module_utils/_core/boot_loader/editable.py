# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which lines a person edits to change an entry's arguments: the entry itself is often written by a program."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.stale_settings import (
    FOLDER,
    KERNEL_INSTALL,
    SETTINGS,
    VARIABLES,
    without_quotes,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import BootFiles
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.menu import Menu, MenuItem

# mkinitcpio's for unified kernel images.
PARTS = "/etc/cmdline.d"
ASSIGNMENT = re.compile(rf"^\s*(?:export\s+)?(?:{'|'.join(VARIABLES)})\+?=(.*)$")
# Words that nearly every line has, and that decide nothing about drivers.
USUAL = re.compile(r"(?:ro|rw|quiet|splash|verbose|root=.*|console=.*|loglevel=.*|\$\w+)")
MOST = 3


def lines(files: BootFiles, menu: Menu, item: MenuItem) -> tuple[str, ...]:
    """File and line of what gives the entry some of its arguments; empty if the entry is what a person edits."""
    words = {without_quotes(word) for word in Cmdline.parse(item.arguments).arguments}
    is_own = ".conf:" in item.source or (item.kernel or "").lower().endswith(".efi")
    found = _of_grub(files) if menu.source.endswith("grub.cfg") and not is_own else _of_kernel_install(files)
    return tuple(place for place, text in found if any(word in words for word in _telling(text)))[:MOST]


def _of_grub(files: BootFiles) -> t.Iterator[tuple[str, str]]:
    for place in (SETTINGS, *(f"{FOLDER}/{name}" for name in files.names(FOLDER) if name.endswith(".cfg"))):
        for number, line in enumerate((files.text(place) or "").splitlines(), 1):
            match = ASSIGNMENT.match(line)
            if match is not None:
                yield f"{place}:{number}", match[1]


def _of_kernel_install(files: BootFiles) -> t.Iterator[tuple[str, str]]:
    for place in (KERNEL_INSTALL, *(f"{PARTS}/{name}" for name in files.names(PARTS) if name.endswith(".conf"))):
        for number, line in enumerate((files.text(place) or "").splitlines(), 1):
            if not line.lstrip().startswith("#"):
                yield f"{place}:{number}", line


def _telling(text: str) -> t.Iterator[str]:
    # The quotes around a whole value would keep its words together.
    inside = re.sub(r"^([\"'])(.*?)\1.*$", r"\2", text.strip())
    return (without_quotes(word) for word in Cmdline.parse(inside).arguments if not USUAL.fullmatch(word))

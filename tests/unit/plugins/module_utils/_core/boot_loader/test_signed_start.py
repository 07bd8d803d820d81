# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""shim and the GRUB behind it are told by what the firmware starts next, and by what these files hold."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import BootFiles
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.signed_start import SignedStart, read
from ansible_collections.vfio.variants.tests.unit.boot_menus import boot_numbers, boot_option, unified_image
from ansible_collections.vfio.variants.tests.unit.trees import Tree

OPTION = "\\EFI\\debian\\shimx64.efi"


def told_by(name: str) -> bytes:
    return unified_image([(".sbat", f"sbat,1\n{name},4,x\n".encode())])


def host(folder: Path, option: str | None = OPTION, **programs: str) -> BootFiles:
    tree = Tree(folder)
    for name, kind in {"shimx64": "shim", "grubx64": "grub", **programs}.items():
        for place in ("debian", "BOOT"):
            tree.file(f"/boot/efi/EFI/{place}/{'BOOTX64' if (place, name) == ('BOOT', 'shimx64') else name}.efi", told_by(kind))
    if option is not None:
        boot_option(tree, 1, option)
        boot_numbers(tree, "BootOrder", 1)
    return BootFiles(tree.host())


def test_what_the_firmware_names_next_is_shim_with_grub_beside_it(tmp_path: Path) -> None:
    folder = "/boot/efi/EFI/debian"
    assert read(host(tmp_path)) == SignedStart(f"{folder}/shimx64.efi", f"{folder}/grubx64.efi")


def test_an_option_that_names_a_disk_alone_starts_the_fallback(tmp_path: Path) -> None:
    folder = "/boot/efi/EFI/BOOT"
    assert read(host(tmp_path, "")) == SignedStart(f"{folder}/BOOTX64.efi", f"{folder}/grubx64.efi")


@pytest.mark.parametrize(
    ("option", "programs"),
    [
        # No variable says what comes next.
        (None, {}),
        (OPTION, {"shimx64": "grub"}),
        (OPTION, {"grubx64": "systemd-boot"}),
        ("\\EFI\\debian\\grubx64.efi", {}),
        ("\\EFI\\gone\\shimx64.efi", {}),
    ],
)
def test_anything_else_is_not_that(tmp_path: Path, option: str | None, programs: t.Mapping[str, str]) -> None:
    assert read(host(tmp_path, option, **programs)) is None

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program of the EFI system partition is told by what it holds: the sections are those of Debian's packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import efi_program
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import BootFiles
from ansible_collections.vfio.variants.tests.uefi import observed_boots
from ansible_collections.vfio.variants.tests.unit.boot_menus import bzimage, unified_image
from ansible_collections.vfio.variants.tests.unit.trees import Tree

OBSERVED = observed_boots.read()
KINDS = {
    "EFI/BOOT/BOOTX64.EFI": efi_program.SYSTEMD_BOOT,
    "EFI/systemd/systemd-bootx64.efi": efi_program.SYSTEMD_BOOT,
    "EFI/debian/grubx64.efi": efi_program.GRUB,
    "EFI/Linux/unified.efi": efi_program.UNIFIED,
}


def program(path: str) -> bytes:
    return unified_image(list(OBSERVED.programs[path].items()))


@pytest.mark.parametrize("path", KINDS)
def test_each_says_what_it_is_under_any_name(tmp_path: Path, path: str) -> None:
    host = Tree(tmp_path).file("/efi/EFI/BOOT/x.efi", program(path)).host()
    assert efi_program.by_content(host, "/efi/EFI/BOOT/x.efi") == KINDS[path]


def test_a_kernel_says_it_by_its_header(tmp_path: Path) -> None:
    host = Tree(tmp_path).file("/efi/linux", bzimage("6.12.1")).host()
    assert efi_program.by_content(host, "/efi/linux") == efi_program.KERNEL


def test_a_kernel_of_64_bit_arm_says_it_too(tmp_path: Path) -> None:
    host = Tree(tmp_path).file("/efi/linux", b"MZ".ljust(0x38, b"\0") + b"ARM\x64" + bytes(64)).host()
    assert efi_program.by_content(host, "/efi/linux") == efi_program.KERNEL


def test_grub_without_a_signature_has_its_modules_in_it(tmp_path: Path) -> None:
    assert "mods" in OBSERVED.programs["EFI/debian/grubx64.efi"]
    host = Tree(tmp_path).file("/efi/EFI/BOOT/BOOTX64.EFI", unified_image([("mods", b"x")])).host()
    assert efi_program.by_content(host, "/efi/EFI/BOOT/BOOTX64.EFI") == efi_program.GRUB


@pytest.mark.parametrize("content", [b"", b"MZ", b"MZ" + b"\xff" * 100, b"text", bzimage("1")[:0x203]])
def test_what_says_nothing_is_told_by_its_name(tmp_path: Path, content: bytes) -> None:
    files = BootFiles(Tree(tmp_path).file("/efi/EFI/arch/GRUBX64.EFI", content).host())
    assert efi_program.find(files, "/EFI/arch/grubx64.efi").kind == efi_program.GRUB
    assert efi_program.find(files, "/EFI/other/program.efi") == (None, None)


def test_behind_shim_stands_what_it_starts(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/efi/EFI/x/shimx64.efi", unified_image([(".sbat", b"sbat,1\nshim,4,UEFI shim\n")]))
    assert efi_program.find(BootFiles(tree.host()), "/EFI/x/shimx64.efi").kind == efi_program.GRUB
    tree.file("/efi/EFI/x/grub.efi", program("EFI/systemd/systemd-bootx64.efi"))
    assert efi_program.find(BootFiles(tree.host()), "/EFI/x/shimx64.efi").kind == efi_program.SYSTEMD_BOOT


def test_paths_of_firmware_know_no_case_and_do_not_leave_the_partition(tmp_path: Path) -> None:
    files = BootFiles(Tree(tmp_path).file("/efi/EFI/Linux/Arch.efi").file("/etc/passwd").host())
    assert files.find_on("/efi", "\\efi\\LINUX\\arch.EFI") == "/efi/EFI/Linux/Arch.efi"
    assert files.find_on("/efi", "\\..\\etc\\passwd") is None
    assert files.find_on("/efi", "\\EFI\\Linux") is None

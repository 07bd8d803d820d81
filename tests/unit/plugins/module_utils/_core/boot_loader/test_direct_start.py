# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel that the firmware starts has the arguments of its boot option, as its EFI stub reads them.  (Linux: efi_convert_cmdline())"""

from __future__ import annotations

import typing as t
import uuid

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import next_boot
from ansible_collections.vfio.variants.tests.unit.boot_menus import boot_numbers, boot_option, bzimage, firmware_variable, unified_image
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

A, B = "6.1.1", "6.2.2"
WORDS = "root=/dev/sda2 ro initrd=\\i"
EFIVARS = "/sys/firmware/efi/efivars/Boot{:04X}-8be4df61-93ca-11d2-aa0d-00e098032b8c"
OF_FIRMWARE = uuid.UUID("8108ac4e-9f11-4d59-850e-e21a522c59b2").bytes_le


def host(root: Path) -> Tree:
    tree = Tree(root).running(A).cmdline(WORDS)
    return tree.file("/boot/a", bzimage(A)).file("/boot/b", bzimage(B)).file("/boot/i").file("/boot/u").file("/boot/ib")


def option(tree: Tree, number: int, path: str, data: bytes, active: bool = True) -> Tree:
    """With data as they are."""
    boot_option(tree, number, path, active=active)
    content = tree.place(EFIVARS.format(number)).read_bytes()[4:]
    return firmware_variable(tree, f"Boot{number:04X}", content + data)


def read(tree: Tree, *order: int, once: int | None = None) -> next_boot.NextBoot:
    boot_numbers(boot_numbers(tree, "BootOrder", *(order or (1,))), "BootCurrent", 1)
    if once is not None:
        boot_numbers(tree, "BootNext", once)
    return next_boot.read(tree.host())


DATA: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "text": (WORDS.encode("utf-16-le"), ("root=/dev/sda2", "ro", "initrd=\\i")),
    "text with an end": (f"{WORDS}\0".encode("utf-16-le"), ("root=/dev/sda2", "ro", "initrd=\\i")),
    "text behind its end": ("ro\0quiet".encode("utf-16-le"), ("ro",)),
    "a second line": ("ro\nquiet".encode("utf-16-le"), ("ro",)),
    "a tab": ("ro\tquiet".encode("utf-16-le"), ("ro", "quiet")),
    "half a letter more": ("ro".encode("utf-16-le") + b"\0", ("ro",)),
    "none": (b"", ()),
    "what the firmware marks its own options with": (OF_FIRMWARE, ()),
}


@pytest.mark.parametrize("name", DATA)
def test_the_data_of_the_option_are_the_kernels_arguments(tmp_path: Path, name: str) -> None:
    data, arguments = DATA[name]
    boot = read(option(host(tmp_path), 1, "\\a", data))
    assert (boot.release, boot.doubts, boot.entries[A].cmdline.arguments) == (A, (), arguments)


@pytest.mark.parametrize("data", [WORDS.encode(), b"ro", b"ro quiet\0", b"\1\2\3\4"])
def test_data_that_are_not_text_for_a_kernel_are_a_doubt(tmp_path: Path, data: bytes) -> None:
    """Such as efibootmgr writes without --unicode: the kernel takes two letters for one."""
    boot = read(option(host(tmp_path), 1, "\\a", data))
    assert boot.release == A
    assert "Boot0001 (Linux) is not text in UTF-16" in boot.doubts[0]


def test_the_order_of_the_firmware_decides(tmp_path: Path) -> None:
    tree = option(option(host(tmp_path), 1, "\\a", b""), 2, "\\b", "ro initrd=\\ib".encode("utf-16-le"))
    assert read(tree, 1, 2).release == A
    assert read(tree, 2, 1).entries[B].initrds == ("/boot/ib",)
    assert read(tree, 1, 2, once=2).release == B
    assert read(tree, 1, 2, once=7).release == A
    assert read(option(tree, 2, "\\b", b"", active=False), 2, 1, once=9).release == A


def test_images_are_read_in_the_order_of_the_arguments(tmp_path: Path) -> None:
    assert read(option(host(tmp_path), 1, "\\a", "initrd=\\u initrd=\\i".encode("utf-16-le"))).entries[A].initrds == ("/boot/u", "/boot/i")
    assert "gone" in read(option(host(tmp_path), 1, "\\a", "initrd=\\gone".encode("utf-16-le"))).doubts[0]


def test_a_profile_that_the_option_asks_for_is_a_doubt(tmp_path: Path) -> None:
    sections = [(".cmdline", b"ro own"), (".uname", B.encode()), (".linux", bzimage(B)), (".initrd", b"070701")]
    tree = host(tmp_path).file("/boot/EFI/Linux/x.efi", unified_image(sections))
    assert read(option(tree, 1, "\\EFI\\LINUX\\X.EFI", b"")).doubts == ()
    assert "asked for its profile @1" in read(option(tree, 1, "\\EFI\\Linux\\x.efi", "@1 ro".encode("utf-16-le"))).doubts[0]

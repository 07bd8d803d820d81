# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Limine's configuration boots, line by line.  (Limine 8.2: common/lib/config.c, common/menu.c)"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import next_boot
from ansible_collections.vfio.variants.tests.unit.boot_menus import FIRMWARE_GUID, boot_numbers, boot_option, bzimage, unified_image
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

A, B = "6.1.1", "6.2.2"
ONE = "/One\nprotocol: linux\nkernel_path: boot():/a\nmodule_path: boot():/ia\ncmdline: one\n"
TWO = "/Two\nprotocol: linux\npath: boot():/b\nmodule_path: boot():/ib\ncmdline: two\n"
OTHER = "/Windows\nprotocol: efi_chainload\nimage_path: boot():/EFI/x.efi\n"
INSIDE = "//One\nprotocol: linux\npath: boot():/a\ncmdline: x\n"


def linux(*lines: str) -> str:
    return "".join(f"{line}\n" for line in ("/One", "protocol: linux", "path: boot():/a", *lines))


def read(root: Path, text: str) -> next_boot.NextBoot:
    tree = Tree(root).running(A).file("/boot/EFI/limine/limine_x64.efi", b"MZ Limine 8.2.0")
    tree.file("/boot/a", bzimage(A)).file("/boot/b", bzimage(B)).file("/boot/ia").file("/boot/ib").file("/boot/u")
    boot_option(tree, 1, "\\EFI\\limine\\limine_x64.efi", "Limine")
    boot_numbers(boot_numbers(tree, "BootOrder", 1), "BootCurrent", 1)
    return next_boot.read(tree.file("/boot/limine.conf", text).host())


BOOTS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "the first": (ONE + TWO, A, ("one",)),
    "by number": (f"default_entry: 2\n{ONE}{TWO}", B, ("two",)),
    "an option in capitals": (f"DEFAULT_ENTRY: 2\n{ONE}{TWO}", B, ("two",)),
    "number 0": (f"default_entry: 0\n{ONE}{TWO}", A, ("one",)),
    "blanks around": (f"  default_entry:    2  \n{ONE}{TWO}", B, ("two",)),
    "no colon": (f"default_entry=2\n{ONE}{TWO}", A, ("one",)),
    "a blank before the colon": (f"default_entry : 2\n{ONE}{TWO}", A, ("one",)),
    "a comment": (f"# default_entry: 2\n{ONE}{TWO}", A, ("one",)),
    "no comment behind a value": (linux("cmdline: one # two"), A, ("one", "#", "two")),
    "the alias first": (linux("cmdline: x", "kernel_cmdline: y"), A, ("y",)),
    "the alias first, although empty": (linux("kernel_cmdline:", "cmdline: x"), A, ()),
    "none": (linux(), A, ()),
    "the first of two": (linux("cmdline: x", "cmdline: y"), A, ("x",)),
    "a path in a value": (linux("cmdline: root=/dev/mapper/x"), A, ("root=/dev/mapper/x",)),
    "a macro": ("${X}=root=/dev/sda1 ro\n" + linux("cmdline: ${X} quiet"), A, ("root=/dev/sda1", "ro", "quiet")),
    "a macro that is set below": (linux("cmdline: ${X} quiet") + "${X}=ro\n", A, ("ro", "quiet")),
    "a macro that is set twice": ("${X}=a\n${X}=b\n" + linux("cmdline: ${X}"), A, ("b",)),
    "a macro that is not set": (linux("cmdline: a ${X} b"), A, ("a", "b")),
    "a macro of any name": ("${MY-X}=a\n" + linux("cmdline: ${MY-X}"), A, ("a",)),
    "a macro in a macro": ("${X}=a\n${Y}=${X}\n" + linux("cmdline: ${Y}"), A, ("${X}",)),
    "a macro in a path": ("${K}=a\n/One\nprotocol: linux\npath: boot():/${K}\ncmdline: x\n", A, ("x",)),
    "in an open folder": (f"default_entry: 2\n/+Folder\n{INSIDE}{TWO}", A, ("x",)),
    "in an open folder with a comment": (f"default_entry: 2\n/+Folder\ncomment: machine-id=1\n{INSIDE}", A, ("x",)),
    "in folders of folders": (f"default_entry: 3\n/+D\n//+E\n/{INSIDE}", A, ("x",)),
    "behind a closed folder": (f"default_entry: 2\n/Folder\n{INSIDE}{TWO}", B, ("two",)),
    "lines of Windows": ((ONE + TWO).replace("\n", "\r\n"), A, ("one",)),
    "tabs": ("\t/One\n\tprotocol:\tlinux\n\tpath:\tboot():/a\n\tcmdline:\tx  y\n", A, ("x", "y")),
    "a checksum": (linux("cmdline: x").replace("():/a", "():/a#abc123"), A, ("x",)),
    "no memory": (f"remember_last_entry: no\n{ONE}{TWO}", A, ("one",)),
}


@pytest.mark.parametrize("name", BOOTS)
def test_limine_boots(tmp_path: Path, name: str) -> None:
    text, release, arguments = BOOTS[name]
    boot = read(tmp_path, text)
    assert (boot.release, boot.doubts, boot.entries[release].cmdline.arguments) == (release, (), arguments)


UNIFIED = unified_image([(".cmdline", b"ro own"), (".uname", B.encode()), (".linux", bzimage(B)), (".initrd", b"070701")])


@pytest.mark.parametrize(
    ("lines", "arguments"),
    [
        (("protocol: efi", "path: boot():/EFI/Linux/x.efi#abc"), ("ro", "own")),
        (("protocol: efi_chainload", "image_path: boot():/EFI/Linux/x.efi"), ("ro", "own")),
        (("protocol: efi", "path: boot():/efi/linux/X.EFI", "cmdline: ro given"), ("ro", "given")),
    ],
)
def test_a_unified_image_boots_linux(tmp_path: Path, lines: tuple[str, ...], arguments: tuple[str, ...]) -> None:
    Tree(tmp_path).file("/boot/EFI/Linux/x.efi", UNIFIED).file("/sys/firmware/efi/efivars/SecureBoot-" + FIRMWARE_GUID, b"\6\0\0\0\0")
    boot = read(tmp_path, "".join(f"{line}\n" for line in ("/One", *lines)) + TWO)
    entry = boot.entries[B]
    assert (boot.release, boot.doubts, entry.cmdline.arguments, entry.initrds) == (B, (), arguments, ("/boot/EFI/Linux/x.efi",))


def test_modules_come_in_their_order(tmp_path: Path) -> None:
    boot = read(tmp_path, linux("module_path: boot():/u", "module_path: boot():/ia", "cmdline: x"))
    assert boot.entries[A].initrds == ("/boot/u", "/boot/ia")


DOUBTED = {
    "a number that there is not": f"default_entry: 9\n{ONE}{TWO}",
    "a path without a slash": linux("cmdline: x").replace("():/a", "():a"),
    "a folder": f"/Folder\n{INSIDE}{TWO}",
    "an open folder": f"/+Folder\n{INSIDE}{TWO}",
    "another system": OTHER + ONE,
    "what was booted last": f"remember_last_entry: YES\n{ONE}{TWO}",
    "another volume": linux("cmdline: x").replace("boot()", "uuid(12)"),
    "another partition": linux("cmdline: x").replace("boot()", "boot(1)"),
    "another protocol": linux("cmdline: x").replace("linux", "multiboot2"),
    "a kernel that is gone": linux("cmdline: x").replace("():/a", "():/gone"),
    "a module that is gone": linux("module_path: boot():/gone", "cmdline: x"),
    "an option behind an entry, which not all versions read": f"timeout: 3\n{ONE}{TWO}default_entry: 2\n",
    "a macro of the machine": linux("cmdline: x=${ARCH}"),
}


@pytest.mark.parametrize("name", DOUBTED)
def test_it_is_not_certain_what_limine_boots_by(tmp_path: Path, name: str) -> None:
    boot = read(tmp_path, DOUBTED[name])
    assert boot.release is None or boot.doubts

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entry files as GRUB reads them: how far, and among which unified images.  (grub-core/commands/blsuki.c, Fedora's blscfg.c)"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import next_boot
from ansible_collections.vfio.variants.tests.unit.boot_menus import FEDORA, bls_entry, bzimage, firmware_variable, grubenv, unified_image
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

OLD, NEW = "6.14.5-300.fc42.x86_64", "6.14.9-300.fc42.x86_64"
ENTRIES = "/boot/loader/entries"
DIGIT, LETTER = "4d29d1ab", "fd29d1ab"
UNIFIED = unified_image([(".osrel", b"ID=fedora\n"), (".linux", bzimage(NEW))])


def host(root: Path, machine: str = DIGIT, **environment: str) -> Tree:
    tree = Tree(root).file("/boot/grub2/grub.cfg", FEDORA).file("/boot/grub2/grubenv", grubenv(**environment))
    return bls_entry(bls_entry(tree, f"{machine}-{OLD}", OLD, "ro"), f"{machine}-{NEW}", NEW, "ro")


def read(tree: Tree) -> next_boot.NextBoot:
    return next_boot.read(tree.host())


@pytest.mark.parametrize("line", ["", "  ", "grub_users", "options "])
def test_a_line_without_a_value_ends_an_entry(tmp_path: Path, line: str) -> None:
    text = f"title Fedora\nlinux /vmlinuz-{NEW}\n{line}\ninitrd /initramfs-{NEW}.img\noptions ro\n"
    boot = read(host(tmp_path).file(f"{ENTRIES}/{DIGIT}-{NEW}.conf", text))
    assert (boot.release, boot.doubts) == (NEW, ())
    assert (boot.entries[NEW].cmdline.arguments, boot.entries[NEW].initrds) == ((), ())


def test_an_entry_that_ends_before_its_kernel_is_none(tmp_path: Path) -> None:
    boot = read(host(tmp_path).file(f"{ENTRIES}/{DIGIT}-{NEW}.conf", f"title Fedora\n\nlinux /vmlinuz-{NEW}\n"))
    assert (boot.release, set(boot.entries)) == (OLD, {OLD})


def test_a_comment_does_not_end_an_entry(tmp_path: Path) -> None:
    text = f"#\n # a comment\nlinux /vmlinuz-{NEW}\n#\ninitrd /initramfs-{NEW}.img\noptions ro\n"
    boot = read(host(tmp_path).file(f"{ENTRIES}/{DIGIT}-{NEW}.conf", text))
    assert boot.entries[NEW].cmdline.arguments == ("ro",)


@pytest.mark.parametrize(
    ("version", "environment", "boots"),
    [
        ("6.99.0", {}, None),
        ("6.0.0", {}, NEW),
        ("6.99.0", {"saved_entry": "1"}, None),
        ("6.14.7", {"saved_entry": "1"}, None),
        ("6.99.0", {"saved_entry": f"{DIGIT}-{OLD}"}, OLD),
    ],
)
def test_an_entry_of_a_program_may_take_a_place(tmp_path: Path, version: str, environment: dict[str, str], boots: str | None) -> None:
    tree = host(tmp_path, **environment).file(f"{ENTRIES}/{DIGIT}-{version}-1.conf", "title Shell\nefi /EFI/tools/shell.efi\n")
    boot = read(tree)
    assert (boot.release if not boot.doubts else None) == boots


@pytest.mark.parametrize(
    ("machine", "environment", "boots"),
    [
        # "hd0" is older than any number, and newer than the letters of a machine's ID.
        (DIGIT, {}, NEW),
        (LETTER, {}, None),
        (LETTER, {"saved_entry": f"{LETTER}-{OLD}"}, OLD),
    ],
)
def test_a_unified_image_may_be_the_first_entry(tmp_path: Path, machine: str, environment: dict[str, str], boots: str | None) -> None:
    boot = read(host(tmp_path, machine, **environment).file(f"/boot/efi/EFI/Linux/{machine}-{NEW}.efi", UNIFIED))
    assert (boot.release if not boot.doubts else None) == boots
    assert set(boot.entries) == {OLD, NEW}


CONFIG = "menuentry a {{\n linux /boot/vmlinuz-{old} ro\n}}\n"
CMDLINE = b"root=/dev/u ro"
BOOTED: dict[str, tuple[str, str | None, tuple[str, ...]]] = {
    "an entry that starts an image": ("menuentry u {\n chainloader (hd0,gpt1)/EFI/Linux/one.efi\n}\n", NEW, ("root=/dev/u", "ro")),
    "an entry with arguments": ("menuentry u {\n chainloader /EFI/Linux/one.efi rw x=1\n}\n", NEW, ("rw", "x=1")),
    "an entry that starts another program": ("menuentry u {\n chainloader /EFI/Linux/shell.efi\n}\n", None, ()),
    "the command for images": ("uki\n" + CONFIG.format(old=OLD), NEW, ("root=/dev/u", "ro")),
    "the command for images behind entries": (CONFIG.format(old=OLD) + "uki\n", OLD, ("ro",)),
    "the command with a folder": ("uki -p /EFI/other\n" + CONFIG.format(old=OLD), None, ()),
    "the command for entries with a folder": (f"blscfg --path /other\n{CONFIG.format(old=OLD)}", None, ()),
    "Linux behind a program": (f"menuentry u {{\n chainloader /EFI/Linux/one.efi\n linux /boot/vmlinuz-{OLD} ro\n}}\n", OLD, ("ro",)),
}


@pytest.mark.parametrize("name", BOOTED)
def test_a_unified_image_that_grub_starts_boots_its_kernel(tmp_path: Path, name: str) -> None:
    """grub-core/loader/efi/chainloader.c, and uki_create_entry() in grub-core/commands/blsuki.c of GRUB 2.14."""
    text, release, arguments = BOOTED[name]
    image = unified_image([(".osrel", b"ID=x\n"), (".cmdline", CMDLINE), (".linux", bzimage(NEW)), (".initrd", b"i")])
    tree = Tree(tmp_path).file("/boot/grub/grub.cfg", text).file("/boot/efi/EFI/Linux/one.efi", image)
    tree.file(f"/boot/vmlinuz-{OLD}", bzimage(OLD)).file("/boot/efi/EFI/Linux/shell.efi", b"MZ" if "shell" in text else image)
    bls_entry(firmware_variable(tree, "SecureBoot", b"\0"), "x", OLD, "other")
    boot = read(tree)
    assert (boot.release if not boot.doubts else None) == release
    if release is not None:
        assert boot.entries[release].cmdline.arguments == arguments


def test_images_are_listed_as_versions_are_sorted(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/boot/grub/grub.cfg", "uki\n")
    for release in ("6.9.1", "6.10.1"):
        image = unified_image([(".osrel", b"ID=x\n"), (".linux", bzimage(release))])
        tree.file(f"/boot/efi/EFI/Linux/x-{release}.efi", image)
    assert read(tree).release == "6.10.1"

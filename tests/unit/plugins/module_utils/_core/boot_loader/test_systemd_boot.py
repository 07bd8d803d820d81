# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that boots by systemd-boot boots what its entries, loader.conf and EFI variables say."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import kernel_image, next_boot
from ansible_collections.vfio.variants.tests.unit.boot_menus import FIRMWARE_GUID, NEW, OLD, bls_entry, bzimage, efi_variable
from ansible_collections.vfio.variants.tests.unit.boot_menus import unified_image as pe_file
from ansible_collections.vfio.variants.tests.unit.trees import Tree

IMAGE = "/efi/EFI/Linux/debian-7.3.efi"
SECTIONS = [
    (".osrel", b"ID=debian\nVERSION_ID=13\nPRETTY_NAME='Debian 13'\n"),
    (".cmdline", b"root=UUID=1 ro vfio-pci.ids=10de:1db1\n\0"),
    (".uname", b"7.3.4+deb13-amd64"),
    (".linux", bzimage("7.3.4+deb13-amd64")),
]


@pytest.fixture
def host(tmp_path: Path) -> Tree:
    """A running EFI host with systemd-boot and two kernels on its EFI system partition."""
    tree = efi_variable(Tree(tmp_path).running(OLD), "LoaderInfo", "systemd-boot 257.9-1")
    for release in (NEW, OLD):
        bls_entry(tree, f"0f22-{release}", release, "ro quiet", "/efi")
    return tree.file("/efi/loader/loader.conf", "# timeout 3\ntimeout 5\n")


def read(tree: Tree) -> next_boot.NextBoot:
    return next_boot.read(tree.host())


def test_the_newest_entry_boots(host: Tree) -> None:
    boot = read(host)
    assert (boot.release, boot.doubts) == (NEW, ())
    entry = boot.entries[OLD]
    assert (entry.cmdline.arguments, entry.source) == (("ro", "quiet"), f"/efi/loader/entries/0f22-{OLD}.conf:3")
    assert entry.initrds == (f"/efi/initramfs-{OLD}.img",)


def test_loader_conf_names_the_default_by_a_pattern(host: Tree) -> None:
    assert read(host.file("/efi/loader/loader.conf", "default 0F22-6.1.0-*\n")).release == OLD
    assert read(host.file("/efi/loader/loader.conf", "default windows*\n")).release == NEW
    assert read(host.file("/efi/loader/loader.conf", f"default *\ndefault *{OLD}.conf\n")).release == OLD


def test_a_default_that_the_loader_would_find_by_itself_is_a_doubt(host: Tree) -> None:
    assert "auto-windows" in read(host.file("/efi/loader/loader.conf", "default auto-windows\n")).doubts[0]


def test_an_efi_variable_comes_before_loader_conf_and_one_for_the_next_boot_before_both(host: Tree) -> None:
    host.file("/efi/loader/loader.conf", f"default *{OLD}*\n")
    assert read(efi_variable(host, "LoaderEntryDefault", f"0f22-{NEW}.conf")).release == NEW
    assert read(efi_variable(host, "LoaderEntryOneShot", f"0f22-{OLD}.conf")).release == OLD


def test_the_entry_booted_last_is_the_default_where_that_is_wanted(host: Tree) -> None:
    efi_variable(host.file("/efi/loader/loader.conf", "default @saved\n"), "LoaderEntryLastBooted", f"0f22-{OLD}.conf")
    assert read(host).release == OLD


def test_a_sort_key_comes_before_names_and_versions_go_downwards(host: Tree) -> None:
    for release in ("6.9.1", "6.10.1"):
        bls_entry(host, f"arch-{release}", release, "ro", "/efi", "sort-key arch\nmachine-id 1\n")
    assert read(host).release == "6.10.1"


def test_an_entry_that_has_no_tries_left_stands_last(host: Tree) -> None:
    bls_entry(host, "0f22-7.3.4+0-3", "7.3.4", "ro", "/efi")
    assert read(host).release == NEW
    bls_entry(host, "0f22-7.4.1+3", "7.4.1", "ro", "/efi")
    assert read(host).release == "7.4.1"


def test_an_entry_whose_kernel_is_gone_is_not_in_the_menu(host: Tree) -> None:
    host.place(f"/efi/vmlinuz-{NEW}").unlink()
    boot = read(host)
    assert (boot.release, set(boot.entries)) == (OLD, {OLD})


def test_several_images_and_options_add_up(host: Tree) -> None:
    bls_entry(host.file("/efi/ucode.img"), f"0f22-{NEW}", NEW, "ro", "/efi", "initrd /ucode.img\noptions quiet debug\n")
    entry = read(host).entries[NEW]
    assert entry.cmdline.arguments == ("ro", "quiet", "debug")
    assert entry.initrds == (f"/efi/initramfs-{NEW}.img", "/efi/ucode.img")


def test_an_image_tells_its_release_where_its_name_does_not(host: Tree) -> None:
    host.file("/efi/0f22/current/linux", bzimage("7.3.4-arch1-1")).file(
        "/efi/loader/entries/zz.conf", "title Arch\nsort-key a\nlinux /0f22/current/linux\noptions ro\n"
    )
    assert read(host).release == "7.3.4-arch1-1"


def test_a_unified_image_is_an_entry_with_its_own_arguments(host: Tree) -> None:
    boot = read(host.file(IMAGE, pe_file(SECTIONS)))
    assert (boot.release, boot.doubts) == ("7.3.4+deb13-amd64", ())
    entry = boot.entries["7.3.4+deb13-amd64"]
    assert (entry.source, entry.initrds) == (IMAGE, ())
    assert entry.cmdline.arguments == ("root=UUID=1", "ro", "vfio-pci.ids=10de:1db1")


def test_a_unified_images_own_root_file_system_is_named(host: Tree) -> None:
    boot = read(host.file(IMAGE, pe_file([*SECTIONS, (".initrd", b"070701")])))
    assert boot.entries["7.3.4+deb13-amd64"].initrds == (IMAGE,)
    assert boot.doubts == ()


def test_the_place_of_a_unified_images_root_file_system_is_known(host: Tree) -> None:
    host.file(IMAGE, pe_file([*SECTIONS, (".initrd", b"070701 archive")]))
    image = kernel_image.read(host.host(), IMAGE)
    assert image is not None
    assert image.initrd is not None
    offset, size = image.initrd
    assert host.place(IMAGE).read_bytes()[offset : offset + size] == b"070701 archive"


def test_a_unified_image_without_a_release_is_asked_by_its_kernel(host: Tree) -> None:
    sections = [section for section in SECTIONS if section[0] != ".uname"]
    assert read(host.file(IMAGE, pe_file(sections))).release == "7.3.4+deb13-amd64"


def addon(*sections: tuple[str, bytes]) -> bytes:
    return pe_file([(".sbat", b"sbat,1,SBAT\n"), *sections])


def arguments(host: Tree) -> tuple[str, ...]:
    return read(host).entries["7.3.4+deb13-amd64"].cmdline.arguments


def test_addons_add_arguments_those_for_all_images_first(host: Tree) -> None:
    host.file(IMAGE, pe_file(SECTIONS)).file(f"{IMAGE}.extra.d/own.addon.efi", addon((".cmdline", b"modprobe.blacklist=nouveau")))
    host.file("/efi/loader/addons/all.addon.efi", addon((".cmdline", b"intel_iommu=on\n")))
    assert arguments(host)[-3:] == ("vfio-pci.ids=10de:1db1", "intel_iommu=on", "modprobe.blacklist=nouveau")
    assert read(host).doubts == ()


def test_an_addon_for_another_kernel_adds_nothing(host: Tree) -> None:
    added = addon((".cmdline", b"modprobe.blacklist=nouveau"), (".uname", b"6.1.0"))
    host.file(IMAGE, pe_file(SECTIONS)).file(f"{IMAGE}.extra.d/own.addon.efi", added)
    assert arguments(host)[-1] == "vfio-pci.ids=10de:1db1"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("own.addon.efi", b"MZ", "cannot be read"),
        ("own.addon.efi", addon((".initrd", b"070701")), "adds an initramfs"),
        ("udev.cred", b"", "is handed to the system"),
        ("more.sysext.raw", b"", "is handed to the system"),
    ],
)
def test_what_a_unified_image_is_given_and_is_not_read_is_a_doubt(host: Tree, name: str, content: bytes, says: str) -> None:
    (doubt,) = read(host.file(IMAGE, pe_file(SECTIONS)).file(f"{IMAGE}.extra.d/{name}", content)).doubts
    assert doubt.startswith(f"{IMAGE}.extra.d/{name} ")
    assert says in doubt


def test_with_secure_boot_an_addons_signature_decides(host: Tree) -> None:
    host.file(IMAGE, pe_file(SECTIONS)).file(f"{IMAGE}.extra.d/own.addon.efi", addon((".cmdline", b"debug")))
    host.file(f"/sys/firmware/efi/efivars/SecureBoot-{FIRMWARE_GUID}", b"\6\0\0\0\1")
    assert read(host).doubts == (f"{IMAGE}.extra.d/own.addon.efi adds arguments to those of {IMAGE}, if its signature is accepted.",)


def test_an_entry_file_gives_a_unified_image_other_arguments_unless_secure_boot_is_on(host: Tree) -> None:
    host.file("/efi/custom/image.efi", pe_file(SECTIONS))
    host.file("/efi/loader/entries/zz.conf", "title Own\nsort-key a\nefi /custom/image.efi\noptions root=UUID=2\n")
    variable = f"/sys/firmware/efi/efivars/SecureBoot-{FIRMWARE_GUID}"
    assert read(host.file(variable, b"\6\0\0\0\0")).entries["7.3.4+deb13-amd64"].cmdline.arguments == ("root=UUID=2",)
    assert arguments(host.file(variable, b"\6\0\0\0\1"))[-1] == "vfio-pci.ids=10de:1db1"


def test_images_in_the_options_count_where_the_entry_names_none(host: Tree) -> None:
    host.file("/efi/linux", bzimage("7.3.4-arch1-1")).file("/efi/initramfs-linux.img")
    text = "title Arch\nsort-key a\nlinux /linux\noptions root=UUID=1 initrd=\\initramfs-linux.img\n"
    boot = read(host.file("/efi/loader/entries/arch.conf", text))
    assert boot.entries["7.3.4-arch1-1"].initrds == ("/efi/initramfs-linux.img",)
    host.file("/efi/ucode.img").file("/efi/loader/entries/arch.conf", text + "initrd /ucode.img\n")
    assert read(host).entries["7.3.4-arch1-1"].initrds == ("/efi/ucode.img",)


def test_a_list_of_other_entries_at_the_last_boot_is_a_doubt(host: Tree) -> None:
    efi_variable(host, "LoaderEntries", "proxmox-6.8.conf\0proxmox-6.5.conf\0auto-reboot-to-firmware-setup")
    (doubt,) = read(host).doubts
    assert "proxmox-6.8.conf" in doubt
    efi_variable(host, "LoaderEntries", f"0f22-{OLD}.conf\0gone.conf")
    assert read(host).doubts == ()


@pytest.mark.parametrize(
    "content",
    [b"", b"MZ", b"MZ" + b"\xff" * 200, pe_file(SECTIONS)[:0x90], pe_file(SECTIONS)[:0x410], pe_file([(".text", b"x")]), b"\x7fELF" * 50],
)
def test_what_is_not_a_unified_image_is_not_an_entry(host: Tree, content: bytes) -> None:
    boot = read(host.file(IMAGE, content))
    assert boot.release in (NEW, None)
    assert set(boot.entries) == {NEW, OLD}


def test_entry_files_without_sense_are_left_out(host: Tree) -> None:
    host.file("/efi/loader/entries/a.conf", "linux\n\0\n").file("/efi/loader/entries/b.conf", b"\xff\xfe").file(
        "/efi/loader/entries/c.conf"
    )
    host.directory("/efi/loader/entries/d.conf")
    assert set(read(host).entries) == {NEW, OLD}

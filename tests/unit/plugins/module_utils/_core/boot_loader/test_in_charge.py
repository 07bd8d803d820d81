# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loader that comes next is the one that the firmware starts: files of others are left over, and what cannot be read is unknown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import next_boot
from ansible_collections.vfio.variants.tests.unit.boot_menus import (
    NEW,
    OLD,
    bls_entry,
    boot_numbers,
    boot_option,
    bzimage,
    debian_grub,
    efi_variable,
    kernels,
    unified_image,
)
from ansible_collections.vfio.variants.tests.unit.trees import Tree

GRUB_CFG = "/boot/grub/grub.cfg"
SHIM, SYSTEMD_BOOT, REFIND = "\\EFI\\debian\\shimx64.efi", "\\EFI\\systemd\\systemd-bootx64.efi", "\\EFI\\refind\\refind_x64.efi"
UNIFIED = [
    (".osrel", b"ID=debian\n"),
    (".cmdline", b"ro quiet"),
    (".uname", OLD.encode()),
    (".linux", bzimage(OLD)),
    (".initrd", b"070701"),
]


def read(tree: Tree) -> next_boot.NextBoot:
    return next_boot.read(tree.host())


@pytest.fixture
def both(tmp_path: Path) -> Tree:
    """A running EFI host with GRUB, which boots the newer kernel, and systemd-boot, which boots the older one."""
    tree = kernels(Tree(tmp_path), NEW, OLD).running(NEW).file(GRUB_CFG, debian_grub()).cmdline("BOOT_IMAGE=/vmlinuz ro")
    return bls_entry(tree, "old", OLD, "ro", "/efi").file("/efi/loader/loader.conf")


def started_by(tree: Tree, *paths: str, current: int = 0) -> Tree:
    """The firmware's boot options in their order."""
    for number, path in enumerate(paths):
        boot_option(tree, number, path, on_disk=bool(path))
    return boot_numbers(boot_numbers(tree, "BootOrder", *range(len(paths))), "BootCurrent", current)


@pytest.mark.parametrize(("path", "release"), [(SHIM, NEW), ("\\EFI\\arch\\grubx64.efi", NEW)])
def test_the_current_option_tells_the_loader_that_does_not_name_itself(both: Tree, path: str, release: str) -> None:
    boot = read(started_by(both, path))
    assert (boot.release, boot.doubts) == (release, ())


def test_entries_that_are_left_over_are_not_believed_where_grub_boots(both: Tree) -> None:
    assert read(started_by(both, SHIM, SYSTEMD_BOOT)).entries[OLD].source.startswith(GRUB_CFG)


def test_a_grub_cfg_that_is_left_over_is_not_believed_where_systemd_boot_boots(both: Tree) -> None:
    efi_variable(started_by(both, SYSTEMD_BOOT, SHIM), "LoaderInfo", "systemd-boot 257.9-1")
    boot = read(both)
    assert (boot.release, boot.doubts, set(boot.entries)) == (OLD, (), {OLD})


def test_the_next_option_counts_more_than_the_loader_that_runs(both: Tree) -> None:
    started_by(efi_variable(both, "LoaderInfo", "systemd-boot 257.9-1"), SYSTEMD_BOOT, SHIM)
    assert read(both).release == OLD
    assert read(boot_numbers(both, "BootNext", 1)).release == NEW
    both.place(f"/sys/firmware/efi/efivars/BootNext-{'8be4df61-93ca-11d2-aa0d-00e098032b8c'}").unlink()
    assert read(boot_numbers(both, "BootOrder", 1, 0)).release == NEW


def test_options_that_did_not_start_now_do_not_start_next(both: Tree) -> None:
    started_by(both, "", SHIM, current=1)
    assert (read(both).release, read(both).doubts) == (NEW, ())


def test_a_host_that_boots_from_the_network_may_be_sent_elsewhere(both: Tree) -> None:
    boot = read(started_by(both, "", SHIM, current=0))
    assert boot.release == NEW
    assert "boots from the network" in boot.entries[NEW].doubts[0]


def test_an_option_that_is_switched_off_is_passed_over(both: Tree) -> None:
    started_by(both, REFIND, SHIM, current=1)
    assert read(both).release is None
    assert read(boot_option(both, 0, REFIND, active=False)).release == NEW


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (REFIND, "starts rEFInd"),
        ("\\EFI\\Microsoft\\Boot\\bootmgfw.efi", "starts a program that cannot be identified"),
        ("\\EFI\\Linux\\gone.efi", "starts a program that cannot be identified"),
        ("\\vmlinuz-linux", "starts a program that cannot be identified"),
    ],
)
def test_a_next_option_of_something_else_is_unknown_and_named(both: Tree, path: str, says: str) -> None:
    boot = read(boot_numbers(started_by(both, SHIM, path), "BootNext", 1))
    assert boot.release is None
    assert boot.entries[NEW].doubts
    (doubt,) = (doubt for doubt in boot.doubts if "BootNext" in doubt)
    assert says in doubt


def test_a_loader_whose_partition_is_not_mounted_is_unknown_whatever_else_is_left_over(tmp_path: Path) -> None:
    tree = (
        kernels(Tree(tmp_path), NEW)
        .running(NEW)
        .cmdline("root=ZFS=rpool/ROOT/pve-1")
        .file(GRUB_CFG, debian_grub([NEW], "vfio-pci.ids=1:2"))
    )
    tree.file("/etc/kernel/proxmox-boot-uuids", "5E5B-5A0C\n")
    boot = read(efi_variable(started_by(tree, SYSTEMD_BOOT), "LoaderInfo", "systemd-boot 252"))
    assert boot.release is None
    assert any(doubt.startswith("/etc/kernel/proxmox-boot-uuids: ") for doubt in boot.doubts)
    entry = boot.entries[NEW]
    assert (entry.cmdline.arguments, entry.source) == (("root=ZFS=rpool/ROOT/pve-1",), "/proc/cmdline")
    assert entry.doubts == ("The boot loader's configuration cannot be read: the running kernel's arguments are assumed.",)


def test_copies_for_the_loader_that_cannot_be_read_are_a_doubt_without_efi_too(tmp_path: Path) -> None:
    tree = kernels(Tree(tmp_path), NEW).running(NEW).cmdline("BOOT_IMAGE=x ro").file(GRUB_CFG, debian_grub([NEW]))
    assert read(tree).release == NEW
    tree.file("/etc/kernel/proxmox-boot-uuids", "5E5B-5A0C\n5E5B-5A0D\n")
    assert read(tree).release is None


# -- what the firmware starts without a loader


@pytest.fixture
def bare(tmp_path: Path) -> Tree:
    tree = kernels(Tree(tmp_path), NEW).running(OLD).cmdline("ro initrd=\\initramfs-linux.img").file(GRUB_CFG, debian_grub([NEW]))
    return tree.file("/efi/vmlinuz-linux", bzimage(OLD)).file("/efi/initramfs-linux.img").file("/efi/ucode.img")


def test_a_kernel_that_the_firmware_starts_has_the_options_arguments_and_images(bare: Tree) -> None:
    words = "root=UUID=1 rw initrd=\\ucode.img initrd=\\initramfs-linux.img vfio-pci.ids=10de:1db1"
    boot_option(bare, 4, "\\vmlinuz-linux", "Arch", words)
    boot = read(boot_numbers(boot_numbers(bare, "BootOrder", 4), "BootCurrent", 4))
    assert (boot.release, boot.doubts) == (OLD, ())
    entry = boot.entries[OLD]
    assert (entry.cmdline.arguments, entry.initrds) == (tuple(words.split()), ("/efi/ucode.img", "/efi/initramfs-linux.img"))
    assert entry.source == "the EFI variable Boot0004"


def test_a_kernel_on_a_partition_that_is_not_mounted_is_unknown(bare: Tree) -> None:
    bare.place("/efi/vmlinuz-linux").unlink()
    boot = read(started_by(bare, "\\vmlinuz-linux"))
    assert boot.release is None
    assert boot.entries[OLD].doubts
    assert NEW not in boot.entries


@pytest.mark.parametrize("place", ["/efi/EFI/Linux/arch.efi", "/boot/efi/EFI/LINUX/Arch.efi"])
def test_a_unified_image_that_the_firmware_starts_has_its_own_arguments(bare: Tree, place: str) -> None:
    bare.file(place, unified_image(UNIFIED))
    efi_variable(started_by(bare, "\\EFI\\Linux\\arch.efi"), "StubInfo", "systemd-stub 257.9")
    boot = read(bare)
    assert (boot.release, boot.doubts) == (OLD, ())
    assert (boot.entries[OLD].cmdline.arguments, boot.entries[OLD].initrds) == (("ro", "quiet"), (place,))


def test_a_unified_image_that_is_not_mounted_is_unknown(bare: Tree) -> None:
    boot = read(efi_variable(started_by(bare, "\\EFI\\Linux\\arch.efi"), "StubInfo", "systemd-stub 257.9"))
    assert boot.release is None
    assert "The firmware starts a unified kernel image directly, which is on no partition that is mounted." in boot.doubts


def test_the_stub_alone_tells_that_nothing_else_boots(bare: Tree) -> None:
    boot = read(efi_variable(bare, "StubInfo", "systemd-stub 257.9"))
    assert (boot.release, NEW in boot.entries) == (None, False)


def test_grub_would_have_told_the_kernel_its_name(bare: Tree) -> None:
    boot = read(bare.directory("/sys/firmware/efi"))
    assert boot.doubts[0].startswith("The running kernel has no BOOT_IMAGE=")
    assert boot.entries[NEW].doubts == (boot.doubts[0],)
    assert read(bare.cmdline("BOOT_IMAGE=/boot/vmlinuz ro")).doubts == ()


@pytest.mark.parametrize(
    ("number", "release"), [("114", NEW), ("49", OLD), ("129", OLD), ("176", None), ("64", None), ("255", None), ("x", None)]
)
def test_without_efi_the_loaders_number_tells_it(tmp_path: Path, number: str, release: str | None) -> None:
    tree = kernels(Tree(tmp_path), NEW, OLD).running(NEW).cmdline("ro").file(GRUB_CFG, debian_grub())
    tree.file("/boot/extlinux/extlinux.conf", f"default a\nlabel a\n  linux /boot/vmlinuz-{OLD}\n  append ro\n")
    assert read(tree.file("/proc/sys/kernel/bootloader_type", f"{number}\n")).release == release


def test_a_machine_that_is_given_its_kernel_does_not_boot_by_what_is_installed(tmp_path: Path) -> None:
    tree = kernels(Tree(tmp_path), NEW).running(NEW).cmdline("root=/dev/vda ro").file(GRUB_CFG, debian_grub([NEW]))
    assert read(tree).release == NEW
    boot = read(tree.file("/proc/sys/kernel/bootloader_type", "176\n"))
    assert boot.release is None
    assert "started by QEMU, not by GRUB" in boot.doubts[1]
    assert (boot.entries[NEW].cmdline.arguments, bool(boot.entries[NEW].doubts)) == (("root=/dev/vda", "ro"), True)


def test_variables_that_make_no_sense_are_no_error(both: Tree) -> None:
    for name in ("BootOrder", "BootCurrent", "BootNext", "Boot0000"):
        both.file(f"/sys/firmware/efi/efivars/{name}-8be4df61-93ca-11d2-aa0d-00e098032b8c", b"\x07\0\0\0\1")
    assert read(both).release == NEW
    both.file("/sys/firmware/efi/efivars/BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c", b"\x07\0\0\0\0\0\7\0")
    both.file("/sys/firmware/efi/efivars/Boot0000-8be4df61-93ca-11d2-aa0d-00e098032b8c", b"\x07\0\0\0\1\0\0\0\xff\xff" + b"x\0" * 40)
    assert read(both).release == NEW


# -- other loaders


LIMINE = """\
timeout: 5
default_entry: 2
${{BASE}}=root=UUID=1 rw

/+Linux
    //Newer
    protocol: linux
    path: boot():/vmlinuz-{new}
    cmdline: ${{BASE}} quiet
    module_path: boot():/ucode.img
    module_path: boot():/initramfs-{new}.img#abcdef

    //Older
    protocol: linux
    kernel_path: boot():/vmlinuz-{old}
    kernel_cmdline: root=UUID=1 ro
    module_path: boot():/initramfs-{old}.img

/Windows
    protocol: efi_chainload
    image_path: boot():/EFI/Microsoft/Boot/bootmgfw.efi
"""


@pytest.fixture
def limine(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path).file("/boot/ucode.img")
    for release in (NEW, OLD):
        tree.file(f"/boot/vmlinuz-{release}", bzimage(release)).file(f"/boot/initramfs-{release}.img")
    return tree.file("/boot/limine.conf", LIMINE.format(new=NEW, old=OLD))


def test_limine_boots_its_default_entry(limine: Tree) -> None:
    boot = read(limine)
    assert (boot.release, boot.doubts) == (NEW, ())
    entry = boot.entries[NEW]
    assert entry.cmdline.arguments == ("root=UUID=1", "rw", "quiet")
    assert entry.initrds == ("/boot/ucode.img", f"/boot/initramfs-{NEW}.img")
    assert (boot.entries[OLD].cmdline.arguments, entry.source) == (("root=UUID=1", "ro"), "/boot/limine.conf:6")


def test_what_limine_keeps_to_itself_is_unknown(limine: Tree) -> None:
    text = LIMINE.format(new=NEW, old=OLD)
    assert read(limine.file("/boot/limine.conf", "remember_last_entry: yes\n" + text)).release is None
    assert read(limine.file("/boot/limine.conf", text.replace("default_entry: 2", "default_entry: 4"))).release is None
    other = text.replace("boot():/initramfs", "uuid(1234):/initramfs")
    assert "another volume" in read(limine.file("/boot/limine.conf", other)).doubts[0]


def test_limine_counts_what_it_shows_at_first(limine: Tree) -> None:
    text = LIMINE.format(new=NEW, old=OLD)
    assert read(limine.file("/boot/limine.conf", text.replace("default_entry: 2", "default_entry: 3"))).release == OLD
    assert read(limine.file("/boot/limine.conf", text.replace("default_entry: 2", "default_entry: Older"))).release == OLD
    closed = text.replace("/+Linux", "/Linux")
    assert read(limine.file("/boot/limine.conf", closed)).release is None
    first = f"/First\nprotocol: linux\npath: boot():/vmlinuz-{OLD}\n"
    assert read(limine.file("/boot/limine.conf", closed.replace("/Linux", f"{first}/Linux").replace(": 2", ": 1"))).release == OLD


def test_the_first_of_limine_s_options_counts_wherever_it_stands(limine: Tree) -> None:
    text = LIMINE.format(new=NEW, old=OLD)
    rest = text.replace("default_entry: 2\n", "")
    assert rest != text
    assert read(limine.file("/boot/limine.conf", f"{rest}default_entry: 3\n")).release == OLD
    assert read(limine.file("/boot/limine.conf", f"{text}default_entry: 3\n")).release == NEW
    twice = text.replace("kernel_cmdline: root=UUID=1 ro", "kernel_cmdline: root=UUID=1 ro\n    kernel_cmdline: root=UUID=2")
    assert read(limine.file("/boot/limine.conf", twice)).entries[OLD].cmdline.arguments == ("root=UUID=1", "ro")


def test_limine_s_default_can_be_a_path_of_titles(limine: Tree) -> None:
    text = LIMINE.format(new=NEW, old=OLD)
    assert read(limine.file("/boot/limine.conf", text.replace("default_entry: 2", "default_entry: Linux/Older"))).release == OLD
    assert read(limine.file("/boot/limine.conf", text.replace("default_entry: 2", "default_entry: Linux"))).release is None


@pytest.mark.parametrize(("name", "has_default", "known"), [("OneShot", True, False), ("Default", True, True), ("Default", False, False)])
def test_what_variables_ask_limine_for_is_unknown(limine: Tree, name: str, has_default: bool, known: bool) -> None:
    text = LIMINE.format(new=NEW, old=OLD)
    limine.file("/boot/limine.conf", text if has_default else text.replace("default_entry: 2\n", ""))
    efi_variable(started_by(limine, "\\EFI\\limine\\limine_x64.efi"), f"LoaderEntry{name}", "Older")
    boot = read(limine)
    assert (boot.release is not None) is known
    assert any(f"LoaderEntry{name} asks for Older" in doubt for doubt in boot.doubts) is not known


def test_entries_that_limine_may_hide_make_the_count_a_doubt(limine: Tree) -> None:
    text = LIMINE.format(new=NEW, old=OLD).replace("/Windows\n", "/Windows\n    if_fw_type: UEFI\n")
    assert any("hides this entry on some machines" in doubt for doubt in read(limine.file("/boot/limine.conf", text)).doubts)


def test_limine_beside_grub_is_a_doubt_and_none_where_the_firmware_starts_one_of_them(limine: Tree) -> None:
    limine.file(GRUB_CFG, debian_grub([OLD])).file(f"/boot/initrd.img-{OLD}")
    assert read(limine).release is None
    assert read(started_by(limine.running(OLD).cmdline("ro"), SHIM)).release == OLD
    assert read(started_by(limine, "\\EFI\\limine\\limine_x64.efi")).release == NEW


@pytest.mark.parametrize("place", ["/boot/refind_linux.conf", "/boot/efi/EFI/refind/refind.conf", "/etc/elilo.conf"])
def test_a_loader_whose_choice_is_its_own_is_a_doubt_where_nothing_else_is_known(tmp_path: Path, place: str) -> None:
    tree = Tree(tmp_path).file(place).running(NEW).cmdline("ro").directory("/sys/firmware/efi")
    assert any(doubt.startswith(f"{place}: ") for doubt in read(tree).doubts)
    # It is named, and not that no loader was found.
    assert read(tree).why.startswith(f"{place}: this host may boot with ")
    assert read(tree).entries[NEW].doubts


def test_two_configurations_of_syslinux_that_differ_are_a_doubt(tmp_path: Path) -> None:
    text = f"default a\nlabel a\n  linux /boot/vmlinuz-{NEW}\n  append ro\n"
    tree = kernels(Tree(tmp_path), NEW).file("/boot/extlinux/extlinux.conf", text).file("/boot/syslinux/syslinux.cfg", text)
    assert read(tree).doubts == ()
    assert "differ" in read(tree.file("/boot/syslinux/syslinux.cfg", text.replace("ro", "rw"))).entries[NEW].doubts[0]


@pytest.mark.parametrize("place", ["/etc/zipl.conf", "/boot/firmware/config.txt", "/etc/lilo.conf"])
def test_what_another_loader_gives_the_running_kernels_next_boot_is_unknown(tmp_path: Path, place: str) -> None:
    tree = Tree(tmp_path).running(NEW).cmdline("ro")
    assert read(tree).entries[NEW].doubts == ()
    assert read(tree.file(place)).entries[NEW].doubts


def test_a_pipe_in_the_place_of_an_image_is_none(bare: Tree) -> None:
    efi_variable(bls_entry(bare, "x", NEW, "ro", "/efi"), "LoaderInfo", "systemd-boot 257")
    bare.directory("/efi/EFI/Linux/one.efi.extra.d").file("/efi/EFI/Linux/one.efi", unified_image(UNIFIED))
    for name in ("pipe.efi", "one.efi.extra.d/pipe.addon.efi"):
        os.mkfifo(bare.place(f"/efi/EFI/Linux/{name}"))
    boot = read(bare)
    assert {OLD, NEW} == set(boot.entries)
    assert "pipe.addon.efi may add arguments" in boot.entries[OLD].doubts[0]


def test_doubts_about_the_loader_are_doubts_about_each_of_its_entries(tmp_path: Path) -> None:
    tree = kernels(Tree(tmp_path), NEW, OLD).file(GRUB_CFG, debian_grub()).file("/sys/kernel/kexec_loaded", "1\n")
    assert all("kexec" in entry.doubts[0] for entry in read(tree).entries.values())

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loader in charge is told by what it says of itself, by the firmware, by what is installed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import next_boot
from ansible_collections.vfio.variants.tests.unit.boot_menus import (
    FEDORA,
    NEW,
    OLD,
    bls_entry,
    bzimage,
    debian_grub,
    efi_variable,
    grubenv,
    kernels,
)
from ansible_collections.vfio.variants.tests.unit.trees import Tree

GRUB_CFG = "/boot/grub/grub.cfg"


def read(tree: Tree) -> next_boot.NextBoot:
    return next_boot.read(tree.host())


@pytest.fixture
def both(tmp_path: Path) -> Tree:
    """An image with GRUB, which boots the newer kernel, and systemd-boot, which boots the older one."""
    tree = kernels(Tree(tmp_path), NEW, OLD).file(GRUB_CFG, debian_grub())
    return bls_entry(tree, "old", OLD, "ro", "/efi").file("/efi/loader/loader.conf")


def test_two_loaders_that_differ_are_a_doubt(both: Tree) -> None:
    boot = read(both)
    assert boot.release is None
    assert boot.doubts[0] == (
        "GRUB (/boot/grub/grub.cfg) and systemd-boot (/efi/loader/loader.conf) are both installed; "
        "which one is active cannot be determined."
    )
    assert boot.entries[OLD].doubts == (boot.doubts[0],)


def test_two_loaders_that_agree_are_none(tmp_path: Path) -> None:
    tree = kernels(Tree(tmp_path), NEW).file(GRUB_CFG, debian_grub([NEW], "quiet"))
    text = f"linux /vmlinuz-{NEW}\ninitrd /initrd.img-{NEW}\noptions root=UUID=0f22fa61 ro quiet\n"
    boot = read(tree.file("/boot/loader/entries/x.conf", text).file("/boot/loader/loader.conf"))
    assert (boot.release, boot.doubts) == (NEW, ())
    assert "agree" in boot.why


def test_a_loader_that_names_itself_is_in_charge(both: Tree) -> None:
    assert read(efi_variable(both.running(OLD), "LoaderInfo", "systemd-boot 252")).release == OLD
    assert read(efi_variable(both, "LoaderInfo", "GRUB 2.12-9")).release == NEW


def test_a_loader_nobody_knows_is_a_doubt(both: Tree) -> None:
    boot = read(efi_variable(both.running(OLD), "LoaderInfo", "rEFInd 0.14"))
    assert boot.release is None
    assert any("rEFInd 0.14" in doubt for doubt in boot.doubts)


def test_systemd_boot_would_have_named_itself(both: Tree) -> None:
    both.running(OLD).file("/sys/firmware/efi/efivars/BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c", b"\7\0\0\0\0\0")
    assert (read(both).release, read(both).doubts) == (NEW, ())


def test_without_efi_there_is_no_systemd_boot(both: Tree) -> None:
    assert (read(both.running(OLD)).release, read(both).doubts) == (NEW, ())


def test_entry_files_alone_do_not_make_systemd_boot(tmp_path: Path) -> None:
    tree = bls_entry(Tree(tmp_path).file("/boot/grub2/grub.cfg", FEDORA), "x-6.14.5-300.fc42", "6.14.5-300.fc42")
    boot = read(tree.directory("/sys/firmware/efi"))
    assert (boot.release, boot.doubts) == ("6.14.5-300.fc42", ())
    assert "grub.cfg" in boot.why


def test_a_grub_cfg_on_the_efi_partition_that_leads_to_the_other_is_the_same(tmp_path: Path) -> None:
    tree = kernels(Tree(tmp_path), NEW, OLD).file(GRUB_CFG, debian_grub()).directory("/sys/firmware/efi")
    stub = "search.fs_uuid 0f22fa61 root hd0,gpt2\nset prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg\n"
    boot = read(tree.file("/boot/efi/EFI/debian/grub.cfg", stub).file("/boot/grub/grubenv", grubenv(next_entry="1>2")))
    assert (boot.release, boot.doubts) == (OLD, ())
    assert boot.entries[NEW].source.startswith(GRUB_CFG)


def test_a_grub_cfg_on_the_efi_partition_counts_where_the_firmware_is_efi(tmp_path: Path) -> None:
    tree = kernels(Tree(tmp_path), NEW, OLD).running(NEW).file(GRUB_CFG, debian_grub([NEW]))
    tree.file("/boot/efi/EFI/redhat/grub.cfg", debian_grub([OLD]))
    assert read(tree).release == NEW
    assert read(tree.directory("/sys/firmware/efi")).release == OLD


@pytest.mark.parametrize("place", ["/etc/zipl.conf", "/boot/firmware/config.txt"])
def test_other_loaders_are_doubts(tmp_path: Path, place: str) -> None:
    boot = read(Tree(tmp_path).file(place))
    assert boot.release is None
    assert any(doubt.startswith(place) for doubt in boot.doubts)


def test_a_kernel_that_is_loaded_for_kexec_is_a_doubt(tmp_path: Path) -> None:
    tree = kernels(Tree(tmp_path), NEW, OLD).file(GRUB_CFG, debian_grub()).file("/sys/kernel/kexec_loaded", "1\n")
    assert "kexec" in read(tree).doubts[0]
    assert read(tree.file("/sys/kernel/kexec_loaded", "0\n")).doubts == ()


def test_without_any_configuration_the_running_kernel_has_what_it_was_given(tmp_path: Path) -> None:
    boot = read(Tree(tmp_path).running(NEW).cmdline("ro quiet"))
    assert boot.release is None
    assert boot.doubts == (
        "No boot loader configuration was found, so which kernel boots next, and with which arguments, cannot be determined.",
    )
    assert (boot.entries[NEW].cmdline.arguments, boot.entries[NEW].source) == (("ro", "quiet"), "/proc/cmdline")


def test_an_image_without_any_configuration_has_no_entry(tmp_path: Path) -> None:
    assert read(Tree(tmp_path)).entries == {}


def test_a_configuration_without_entries_is_said(tmp_path: Path) -> None:
    assert any(doubt.startswith(GRUB_CFG) for doubt in read(Tree(tmp_path).file(GRUB_CFG, "set timeout=0\n")).doubts)


def test_a_folder_that_cannot_be_reached_is_a_doubt(tmp_path: Path) -> None:
    boot = read(Tree(tmp_path).link("/boot/grub", "grub2").link("/boot/grub2", "grub"))
    assert boot.release is None
    assert any("loop of symbolic links" in doubt for doubt in boot.doubts)


@pytest.mark.parametrize(
    ("name", "release"),
    [("vmlinuz-6.1.0-50-amd64", "6.1.0-50-amd64"), ("vmlinuz-6.8.0-1-generic.efi.signed", "6.8.0-1-generic"), ("vmlinuz-linux", None)],
)
def test_a_kernels_name_tells_its_release_if_it_holds_one(tmp_path: Path, name: str, release: str | None) -> None:
    tree = Tree(tmp_path).file(f"/boot/{name}", b"MZ").file(GRUB_CFG, f"menuentry x {{\nlinux /boot/{name} ro\n}}\n")
    assert read(tree).release == release


def test_a_kernel_tells_its_release_where_its_name_is_another(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/boot/vmlinuz-linux", bzimage("7.3.4-arch1-1"))
    assert read(tree.file(GRUB_CFG, "menuentry x {\nlinux /boot/vmlinuz-linux ro\n}\n")).release == "7.3.4-arch1-1"


def test_a_link_to_a_kernel_tells_its_targets_release(tmp_path: Path) -> None:
    tree = kernels(Tree(tmp_path), NEW).link("/vmlinuz", f"boot/vmlinuz-{NEW}").file(GRUB_CFG, "menuentry x {\nlinux /vmlinuz ro\n}\n")
    assert read(tree).release == NEW


# -- extlinux

EXTLINUX = f"""\
## /boot/extlinux/extlinux.conf
default l0
menu title U-Boot menu
prompt 0
append quiet

label l1
\tmenu label Debian {OLD}
\tlinux /boot/vmlinuz-{OLD}
\tinitrd /boot/initrd.img-{OLD}
\tfdtdir /usr/lib/linux-image-{OLD}/

LABEL l0
\tMENU LABEL Debian {NEW}
\tLINUX ../vmlinuz-{NEW}
\tAPPEND root=/dev/sda1 ro initrd=../ucode.img,/boot/initrd.img-{NEW}

label l0r
\tlinux /boot/vmlinuz-{NEW}
\tappend root=/dev/sda1 ro single
"""


@pytest.fixture
def board(tmp_path: Path) -> Tree:
    return kernels(Tree(tmp_path), NEW, OLD).file("/boot/ucode.img").file("/boot/extlinux/extlinux.conf", EXTLINUX)


def test_extlinux_boots_its_default_label(board: Tree) -> None:
    boot = read(board)
    assert (boot.release, boot.doubts) == (NEW, ())
    assert boot.entries[NEW].source == "/boot/extlinux/extlinux.conf:15"
    assert boot.entries[NEW].initrds == ("/boot/ucode.img", f"/boot/initrd.img-{NEW}")
    assert (boot.entries[OLD].cmdline.arguments, boot.entries[OLD].initrds) == (("quiet",), (f"/boot/initrd.img-{OLD}",))


def test_labels_that_dispute_the_default_are_a_doubt(board: Tree) -> None:
    board.file("/boot/extlinux/extlinux.conf", EXTLINUX.replace("label l1\n", "label l1\n\tmenu default\n"))
    assert len(read(board).doubts) == 1


def test_a_file_that_includes_itself_ends(board: Tree) -> None:
    assert read(board.file("/boot/extlinux/extlinux.conf", "include extlinux.conf\n" + EXTLINUX)).release == NEW


# -- settings that are not in the configuration yet


@pytest.fixture
def edited(tmp_path: Path) -> Tree:
    """A host whose /etc/default/grub was changed after grub.cfg was written."""
    tree = kernels(Tree(tmp_path), NEW).file("/usr/sbin/update-grub", mode=0o755)
    tree.file(GRUB_CFG, debian_grub([NEW], "intel_iommu=on quiet"))
    os.utime(tree.place(GRUB_CFG), (1000, 1000))
    return tree.file("/etc/default/grub", 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX="intel_iommu=on"\n')


def test_settings_that_are_all_in_the_entry_are_no_warning(edited: Tree) -> None:
    assert read(edited).warnings == ()


def test_an_argument_that_is_not_in_the_entry_is_a_warning(edited: Tree) -> None:
    edited.file("/etc/default/grub.d/vfio.cfg", 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX modprobe.blacklist=nouveau"\n')
    boot = read(edited)
    warning = (
        '/etc/default/grub.d/vfio.cfg sets GRUB_CMDLINE_LINUX="intel_iommu=on modprobe.blacklist=nouveau", '
        f"but {boot.entries[NEW].source} does not have modprobe.blacklist=nouveau: run `update-grub`."
    )
    assert boot.warnings == (warning,)


def test_arguments_for_another_loader_are_a_warning(tmp_path: Path) -> None:
    tree = kernels(Tree(tmp_path), NEW).file("/usr/sbin/proxmox-boot-tool", mode=0o755).file("/boot/loader/loader.conf", "timeout 3\n")
    tree.file("/boot/loader/entries/a.conf", f"title Linux\nlinux /vmlinuz-{NEW}\noptions root=ZFS=rpool quiet iommu=pt\n")
    tree.file("/etc/default/grub", 'GRUB_CMDLINE_LINUX_DEFAULT="quiet splash intel_iommu=on iommu=pt"\n')
    said = "/etc/default/grub has intel_iommu=on, but systemd-boot starts this host, which takes its arguments from elsewhere"
    assert read(tree).warnings == (f"{said}: write them into /boot/loader/entries/a.conf.",)
    tree.file("/etc/kernel/cmdline", "root=ZFS=rpool quiet iommu=pt\n")
    assert read(tree).warnings == (f"{said}: write them into /etc/kernel/cmdline and run `proxmox-boot-tool refresh`.",)
    assert read(tree.file("/etc/default/grub", 'GRUB_CMDLINE_LINUX_DEFAULT="quiet splash"\n')).warnings == ()


def test_the_command_that_kernel_install_takes_names_a_kernel_that_is_in_boot_alone(tmp_path: Path) -> None:
    tree = kernels(Tree(tmp_path), NEW).file("/boot/efi/loader/loader.conf", "timeout 3\n").file("/boot/efi/t/linux", bzimage(NEW))
    tree.file(f"/boot/efi/loader/entries/t-{NEW}.conf", "linux /t/linux\noptions quiet\n").file("/etc/kernel/cmdline", "quiet\n")
    tree.file("/etc/default/grub", 'GRUB_CMDLINE_LINUX="intel_iommu=on"\n')
    (warning,) = read(tree).warnings
    assert warning.endswith(f"write them into /etc/kernel/cmdline and run `kernel-install add {NEW} /boot/vmlinuz-{NEW}`.")
    tree.place(f"/boot/vmlinuz-{NEW}").unlink()
    (warning,) = read(tree).warnings
    assert warning.endswith("write them into /etc/kernel/cmdline and run `kernel-install add-all`.")


def test_arguments_for_kernel_install_are_a_warning_where_grub_starts_the_host(edited: Tree) -> None:
    edited.file("/etc/kernel/cmdline", "root=/dev/sda1 quiet intel_iommu=on iommu=pt\n")
    said = "/etc/kernel/cmdline has iommu=pt, but GRUB starts this host, which takes its arguments from elsewhere"
    assert read(edited).warnings == (f"{said}: write them into /etc/default/grub and run `update-grub`.",)
    assert read(edited.file("/etc/kernel/cmdline", "root=/dev/sda1 quiet intel_iommu=on splash\n")).warnings == ()


def test_settings_older_than_the_configuration_are_no_warning(edited: Tree) -> None:
    edited.file("/etc/default/grub", 'GRUB_CMDLINE_LINUX="debug"\n')
    assert len(read(edited).warnings) == 1
    os.utime(edited.place("/etc/default/grub"), (999, 999))
    assert read(edited).warnings == ()


def test_arguments_for_drivers_have_to_be_there_however_old_the_settings_are(edited: Tree) -> None:
    edited.file("/etc/default/grub", 'GRUB_CMDLINE_LINUX="debug vfio-pci.ids=10de:1db1\nintel_iommu=on"\n')
    os.utime(edited.place("/etc/default/grub"), (999, 999))
    (said,) = read(edited).warnings
    assert said.startswith('/etc/default/grub sets GRUB_CMDLINE_LINUX="debug vfio-pci.ids=10de:1db1 intel_iommu=on", but ')
    assert said.endswith("does not have vfio-pci.ids=10de:1db1: run `update-grub`.")


def test_settings_that_only_the_shell_knows_are_no_warning(edited: Tree) -> None:
    assert read(edited.file("/etc/default/grub", 'GRUB_CMDLINE_LINUX="$(cat /etc/arguments)"\n')).warnings == ()


@pytest.mark.parametrize(("size", "is_read"), [(2047, True), (2048, False)])
def test_a_line_that_the_kernel_does_not_read_to_its_end_is_a_doubt(tmp_path: Path, size: int, is_read: bool) -> None:
    """What a kernel of x86 reads, as its own header says it in the setup of the image (cmdline_size): 2047 bytes."""
    given = f"BOOT_IMAGE=/boot/vmlinuz-{NEW} root=UUID=0f22fa61 ro "
    tree = kernels(Tree(tmp_path), NEW).file(GRUB_CFG, debian_grub([NEW], "x" * (size - len(given))))

    doubts = read(tree).doubts

    if is_read:
        assert doubts == ()
    else:
        assert len(doubts) == 1
        assert doubts[0].startswith(GRUB_CFG)
        assert doubts[0].endswith(f"its arguments have {size} bytes, of which a kernel of {os.uname().machine} reads 2047.")

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks that a command line names: what keeps a storage controller with the host at its next boot."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.disk_words import named_disks


def named(text: str) -> list[tuple[str, str, str]]:
    return [(disk.word, disk.disk, disk.place) for disk in named_disks(Cmdline.parse(text))]


@pytest.mark.parametrize(
    ("text", "disks"),
    [
        ("root=UUID=a ro", [("root", "UUID=a", "/")]),
        ("root=/dev/nvme0n1p2", [("root", "/dev/nvme0n1p2", "/")]),
        ("root=/dev/nfs", []),
        ("root=/dev/ram0", []),
        ("resume=UUID=b", [("resume", "UUID=b", "swap")]),
        ("mount.usr=LABEL=u usr=LABEL=v", [("mount.usr", "LABEL=u", "/usr"), ("usr", "LABEL=v", "/usr")]),
        ("boot=PARTUUID=c", [("boot", "PARTUUID=c", "/boot")]),
        ("root=ZFS=rpool/ROOT", [("root", "ZFS=rpool/ROOT", "/")]),
        ("systemd.verity_usr_hash=/dev/sda3", [("systemd.verity_usr_hash", "/dev/sda3", "/usr")]),
        ("quiet splash", []),
    ],
)
def test_the_root_and_the_like_are_named_with_their_places(text: str, disks: list[tuple[str, str, str]]) -> None:
    assert named(text) == disks


@pytest.mark.parametrize(
    ("root", "number"),
    [
        ("8:1", "8:1"),
        ("259:3:0", "259:3"),
        ("0801", "8:1"),
        ("0x802", "8:2"),
        # A minor number beyond 255 is in both ends (new_decode_dev() in include/linux/kdev_t.h).
        ("10300301", "3:66305"),
        ("00100800", "8:256"),
    ],
)
def test_a_root_by_its_number_is_read_as_the_kernel_does(root: str, number: str) -> None:
    assert named(f"root={root}") == [("root", number, "/")]


def test_only_root_and_resume_can_be_numbers() -> None:
    assert named("resume=8:5") == [("resume", "8:5", "swap")]
    assert named("mount.usr=8:5") == []


@pytest.mark.parametrize(
    ("root", "disk"),
    [
        ("ubi0:rootfs", "ubi0:rootfs"),
        ("mtd3", "mtd3"),
        ("mtd:rootfs", "mtd:rootfs"),
        ("live:LABEL=Fedora-Live", "LABEL=Fedora-Live"),
        ("live:CDLABEL=Fedora-Live", "LABEL=Fedora-Live"),
        ("live:/dev/sr0", "/dev/sr0"),
    ],
)
def test_a_root_in_flash_or_on_a_live_medium_is_named(root: str, disk: str) -> None:
    assert named(f"root={root}") == [("root", disk, "/")]


@pytest.mark.parametrize("word", ["resume", "mount.usr", "boot"])
def test_no_other_word_names_flash_or_a_live_medium(word: str) -> None:
    assert named(f"{word}=ubi0:data {word}=live:/dev/sr0") == []


def test_a_live_root_over_the_network_names_no_disk() -> None:
    assert named("root=live:https://example.org/squashfs.img") == []


@pytest.mark.parametrize(
    ("text", "disks"),
    [
        ("rd.luks.uuid=luks-12ab", [("rd.luks.uuid", "UUID=12ab", "/")]),
        ("luks.name=12ab=root", [("luks.name", "UUID=12ab", "/")]),
        ("luks.uuid=", []),
        ("luks.options=12ab=tpm2-device=auto,discard", [("luks.options", "tpm2-device=auto", "/")]),
        ("cryptdevice=UUID=12ab:root", [("cryptdevice", "UUID=12ab", "/")]),
        ("rootflags=device=/dev/sdb,ro", [("rootflags", "/dev/sdb", "/")]),
    ],
)
def test_disks_and_keys_that_unlock_the_root_are_named(text: str, disks: list[tuple[str, str, str]]) -> None:
    assert [disk for disk in named(text) if disk[2]] == disks


@pytest.mark.parametrize(
    ("text", "disks"),
    [
        ("systemd.mount-extra=UUID=d:/srv", [("systemd.mount-extra", "UUID=d", "/srv")]),
        ("systemd.mount-extra=UUID=d:/srv:ext4:ro", [("systemd.mount-extra", "UUID=d", "/srv")]),
        ("systemd.mount-extra=UUID=d:/srv:ext4:ro,nofail", []),
        ("systemd.mount-extra=UUID=d:/srv:ext4:noauto", []),
        # The third is the file system's name, whatever it is.
        ("systemd.mount-extra=UUID=d:/srv:nofail", [("systemd.mount-extra", "UUID=d", "/srv")]),
        ("systemd.swap-extra=/dev/sdc2", [("systemd.swap-extra", "/dev/sdc2", "swap")]),
        ("systemd.swap-extra=/dev/sdc2:nofail", []),
        ("systemd.swap-extra=/dev/sdc2:pri=5,noauto", []),
    ],
)
def test_a_boot_needs_a_further_mount_unless_it_may_fail(text: str, disks: list[tuple[str, str, str]]) -> None:
    assert named(text) == disks


@pytest.mark.parametrize(
    "disk", ["/dev/sdb", "/dev/sdb1", "/dev/sr0", "/dev/nvme0n1", "/dev/mapper/vg-data", "UUID=12ab", "/dev/disk/by-id/x"]
)
def test_a_disk_in_a_word_that_nobody_knows_is_named_without_a_place(disk: str) -> None:
    assert named(f"my_module.disk={disk}") == [("my_module.disk", disk, "")]


@pytest.mark.parametrize("other", ["/dev/ttyS0", "/dev/null", "/dev/mapper/", "UUID=", "/dev/sd", "x/dev/sdb"])
def test_what_may_be_something_else_is_not_taken_for_a_disk(other: str) -> None:
    assert named(f"my_module.disk={other}") == []

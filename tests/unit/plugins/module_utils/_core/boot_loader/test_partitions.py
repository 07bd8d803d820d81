# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of several EFI system partitions that one counts which the loader is started from.  (systemd.io/BOOT_LOADER_INTERFACE)"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import next_boot
from ansible_collections.vfio.variants.tests.unit.boot_menus import (
    NEW,
    OLD,
    boot_numbers,
    boot_option,
    bzimage,
    debian_grub,
    efi_variable,
    kernels,
)
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

ONE, OTHER, UNMOUNTED = (f"{digit * 8}-2222-4333-8444-555555555555" for digit in "abc")
SYSTEM, EXTENDED = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "bc13c2ff-59e6-4262-a352-b275fd6f7172"
SYSTEMD_BOOT, GRUB = "\\EFI\\systemd\\systemd-bootx64.efi", "\\EFI\\debian\\grubx64.efi"


def entry(tree: Tree, partition: str, release: str) -> Tree:
    tree.file(f"{partition}/v-{release}", bzimage(release)).file(f"{partition}/i-{release}")
    text = f"title T\nlinux /v-{release}\ninitrd /i-{release}\noptions ro\n"
    return tree.file(f"{partition}/loader/entries/{release}.conf", text)


def mount(tree: Tree, *partitions: tuple[str, str, str]) -> Tree:
    """The place, the GUID and the type of each partition, as the kernel and udev list them."""
    rows = ""
    for number, (place, name, kind) in enumerate(partitions, 1):
        rows += f"{40 + number} 29 0:{50 + number} / {place} rw - autofs systemd-1 rw\n"
        rows += f"{50 + number} 29 259:{number} / {place} rw - vfat /dev/nvme0n1p{number} rw\n"
        tree.file(f"/run/udev/data/b259:{number}", f"E:ID_FS_TYPE=vfat\nE:ID_PART_ENTRY_UUID={name}\nE:ID_PART_ENTRY_TYPE={kind}\n")
    return tree.file("/proc/self/mountinfo", rows)


def host(root: Path, second: str = "/boot/efi") -> Tree:
    """systemd-boot, with the older kernel on /efi and the newer one, which comes first in a menu, on the second partition."""
    tree = entry(entry(Tree(root).running(OLD).cmdline("ro"), "/efi", OLD), second, NEW)
    return efi_variable(tree.file("/efi/loader/loader.conf", "timeout 3\n"), "LoaderInfo", "systemd-boot 257")


def read(tree: Tree) -> next_boot.NextBoot:
    return next_boot.read(tree.host())


BOTH = (("/efi", ONE, SYSTEM), ("/boot/efi", OTHER, SYSTEM))
STARTS: dict[str, tuple[str, str | None]] = {
    "the first": (ONE, OLD),
    "the second": (OTHER, NEW),
    "the first, in capitals": (ONE.upper(), OLD),
    "one that is not mounted": (UNMOUNTED, None),
}


@pytest.mark.parametrize("name", STARTS)
def test_the_loader_says_where_it_was_started_from(tmp_path: Path, name: str) -> None:
    partition, release = STARTS[name]
    boot = read(efi_variable(mount(host(tmp_path), *BOTH), "LoaderDevicePartUUID", partition))
    assert boot.release == release
    assert bool(boot.doubts) is (release is None)


@pytest.mark.parametrize("name", STARTS)
def test_the_firmware_says_where_it_starts_the_next_one_from(tmp_path: Path, name: str) -> None:
    partition, release = STARTS[name]
    tree = efi_variable(mount(host(tmp_path), *BOTH), "LoaderDevicePartUUID", ONE)
    tree.file("/efi/EFI/systemd/systemd-bootx64.efi", b"MZ").file("/boot/efi/EFI/systemd/systemd-bootx64.efi", b"MZ")
    boot_option(boot_option(tree, 0, SYSTEMD_BOOT, partition=ONE), 1, SYSTEMD_BOOT, partition=partition)
    boot = read(boot_numbers(boot_numbers(boot_numbers(tree, "BootOrder", 0, 1), "BootCurrent", 0), "BootNext", 1))
    assert boot.release == release


def test_the_extended_partition_is_read_beside_it(tmp_path: Path) -> None:
    tree = mount(host(tmp_path, "/boot"), ("/efi", ONE, SYSTEM), ("/boot", OTHER, EXTENDED))
    boot = read(efi_variable(tree, "LoaderDevicePartUUID", ONE))
    assert (boot.release, boot.doubts, set(boot.entries)) == (NEW, (), {OLD, NEW})


@pytest.mark.parametrize("known", ["the partitions", "the start"])
def test_where_udev_or_the_loader_tells_nothing_all_partitions_are_read(tmp_path: Path, known: str) -> None:
    tree = host(tmp_path)
    tree = mount(tree, *BOTH) if known == "the partitions" else efi_variable(tree, "LoaderDevicePartUUID", ONE)
    assert set(read(tree).entries) == {OLD, NEW}


@pytest.mark.parametrize(("partition", "release"), [(ONE, OLD), (OTHER, NEW)])
def test_grub_is_the_one_of_the_partition_that_the_option_names(tmp_path: Path, partition: str, release: str) -> None:
    tree = mount(kernels(Tree(tmp_path), NEW, OLD).running(OLD).cmdline("BOOT_IMAGE=/boot/vmlinuz ro"), *BOTH)
    for place, booted in (("/efi", OLD), ("/boot/efi", NEW)):
        tree.file(f"{place}/EFI/debian/grubx64.efi", b"MZ").file(f"{place}/EFI/debian/grub.cfg", debian_grub([booted]))
    boot_option(tree, 0, GRUB, partition=partition)
    boot = read(boot_numbers(boot_numbers(tree, "BootOrder", 0), "BootCurrent", 0))
    assert (boot.release, boot.doubts) == (release, ())

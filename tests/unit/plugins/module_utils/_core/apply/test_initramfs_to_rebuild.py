# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The initramfs that a kernel boots with is looked at and rebuilt, whatever its name is; one that cannot be determined is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.image_sync import SyncRequest, sync_images
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.initramfs_to_rebuild import initramfs_to_rebuild, refuse_program
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import next_boot
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.generator import DRACUT, Generator
from ansible_collections.vfio.variants.tests.unit.boot_menus import bzimage, unified_image
from ansible_collections.vfio.variants.tests.unit.images import archive
from ansible_collections.vfio.variants.tests.unit.initramfs_files import initramfs_tools
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, Tree

RELEASE = "6.12.1-arch1-1"
USUAL, ARCH = f"/boot/initramfs-{RELEASE}.img", "/boot/initramfs-linux.img"
UCODE = {"kernel/x86/microcode/GenuineIntel.bin": "u"}
ENTRY = "menuentry Arch {{\n  linux /boot/vmlinuz-linux ro\n  initrd {}\n}}\n"


@pytest.fixture
def arch(tmp_path: Path) -> Tree:
    """A host whose images are named by the kernel's package."""
    tree = Tree(tmp_path).kernel(RELEASE, image=False).file("/boot/vmlinuz-linux", bzimage(RELEASE))
    tree.file(f"/lib/modules/{RELEASE}/vmlinuz", bzimage(RELEASE))
    return tree.file(f"/lib/modules/{RELEASE}/pkgbase", "linux\n").file(ARCH, archive(initramfs_tools(release=RELEASE)))


def image(tree: Tree, generator: Generator | None = DRACUT) -> str:
    host = tree.host()
    return initramfs_to_rebuild(host, RELEASE, next_boot.read(host).entries.get(RELEASE), generator)


def test_the_boot_entry_names_it(arch: Tree) -> None:
    arch.file("/boot/own.img", archive(initramfs_tools())).file("/boot/early.img", archive(UCODE))
    assert image(arch.file("/boot/grub/grub.cfg", ENTRY.format("/boot/early.img /boot/own.img"))) == "/boot/own.img"
    assert image(arch, None) == "/boot/own.img"


def test_without_an_entry_the_package_does(arch: Tree) -> None:
    assert image(arch) == ARCH


def test_what_the_generator_built_counts_where_the_entry_names_it_too(arch: Tree) -> None:
    arch.file(USUAL, archive(initramfs_tools())).file("/boot/more.img", archive({"etc/more": ""}))
    assert image(arch.file("/boot/grub/grub.cfg", ENTRY.format(f"/boot/more.img {USUAL}"))) == USUAL


def test_several_that_may_be_it_are_refused(arch: Tree) -> None:
    arch.file("/boot/one.img", archive({"etc/one": ""})).file("/boot/two.img", archive({"etc/two": ""}))
    with pytest.raises(HostError, match="names several initramfs images"):
        image(arch.file("/boot/grub/grub.cfg", ENTRY.format("/boot/one.img /boot/two.img")))


@pytest.mark.parametrize("generator", [DRACUT, None])
@pytest.mark.parametrize("place", ["/boot/booster-linux.img", "/efi/EFI/Linux/arch.efi", "/boot/initrd"])
def test_an_image_that_no_file_names_is_refused(arch: Tree, generator: Generator | None, place: str) -> None:
    arch.place(ARCH).unlink()
    arch.place(f"/lib/modules/{RELEASE}/pkgbase").unlink()
    with pytest.raises(HostError, match=f"cannot be determined: {place} may be it"):
        image(arch.file(place, unified_image([(".linux", b"x")])), generator)


def test_images_of_other_kernels_do_not_make_a_missing_one_doubtful(arch: Tree) -> None:
    arch.place(ARCH).unlink()
    arch.kernel(DEBIAN_12).file(f"/boot/initramfs-{DEBIAN_12}.img").file("/boot/intel-ucode.img", archive(UCODE))
    assert image(arch) == USUAL


def test_an_image_of_a_generator_that_is_not_known_is_not_taken_for_none(arch: Tree) -> None:
    arch.file("/etc/modprobe.d/vfio.conf", "options vfio-pci ids=10de:1db1\n").file("/usr/bin/booster", "#!/bin/sh\n", 0o755)
    assert sync_images(arch.host(), SyncRequest(), True).result()["kernels"][RELEASE]["image"] == ARCH
    with pytest.raises(HostError, match=f"{ARCH} does not match the policy .*, and booster builds it: its images have no udev"):
        sync_images(arch.host(), SyncRequest(force=True), True)


def test_a_unified_image_is_not_overwritten_by_a_plain_one(arch: Tree) -> None:
    arch.file("/efi/EFI/Linux/own.efi", unified_image([(".linux", b"x"), (".initrd", b"070701")]))
    with pytest.raises(HostError, match="is a unified kernel image whose initramfs does not match"):
        refuse_program(arch.host(), "/efi/EFI/Linux/own.efi", RELEASE, "It lacks the policy.")
    refuse_program(arch.host(), ARCH, RELEASE, "It lacks the policy.")


@pytest.mark.parametrize("generator", [DRACUT, None])
def test_an_image_that_the_entry_names_and_nobody_can_read_is_not_taken_for_none(arch: Tree, generator: Generator | None) -> None:
    arch.place(ARCH).unlink()
    with pytest.raises(HostError, match=r"/boot/grub/grub.cfg:2 names the initramfs /boot/own.img, which does not exist"):
        image(arch.file("/boot/grub/grub.cfg", ENTRY.format("/boot/own.img")), generator)


@pytest.mark.parametrize("command", ["ugrd", "booster", "mkinitfs"])
def test_a_host_with_another_generator_and_no_image_to_be_seen_is_refused(arch: Tree, command: str) -> None:
    arch.place(ARCH).unlink()
    arch.file(f"/usr/bin/{command}", "#!/bin/sh\n", 0o755)
    with pytest.raises(HostError, match=rf"^{command} builds the initramfs images of this host, and none of kernel {RELEASE} was found"):
        image(arch, None)


def test_a_running_kernel_that_was_given_an_initramfs_from_nowhere_is_not_taken_for_one_without(arch: Tree) -> None:
    arch.place(ARCH).unlink()
    arch.running(RELEASE).cmdline("ro")
    assert image(arch, None) == USUAL
    # ramdisk_size in the boot parameters is not zero.
    arch.file("/sys/kernel/boot_params/data", bytes(0x21C) + b"\1" + bytes(4096 - 0x21D))
    with pytest.raises(HostError, match=r"Whether kernel .* boots with an initramfs cannot be determined"):
        image(arch, None)

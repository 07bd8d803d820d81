# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image that was not found is unknown; that there is none is only said where it is known."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import find_images, read_initramfs
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.find_images import Images, images_of
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.next_boot import BootEntry
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import CMDLINE, Cmdline
from ansible_collections.vfio.variants.tests.unit.boot_menus import unified_image
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.images import archive, packed
from ansible_collections.vfio.variants.tests.unit.initramfs_files import IMAGE, dracut, initramfs_tools
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, Tree

PARAMETERS = "/sys/kernel/boot_params/data"
CONFIG = f"/boot/config-{DEBIAN_13}"


def given(size: int = 0) -> bytes:
    """The kernel's boot parameters, with an initramfs of this size."""
    content = bytearray(4096)
    struct.pack_into("<I", content, find_images.RAMDISK_SIZE, size)
    return bytes(content)


def running(cmdline: str = "root=UUID=1 ro", release: str = DEBIAN_13) -> BootEntry:
    return BootEntry(release, Cmdline.parse(cmdline), CMDLINE)


def of_menu(*initrds: str, cmdline: str = "ro") -> BootEntry:
    return BootEntry(DEBIAN_13, Cmdline.parse(cmdline), "/boot/grub/grub.cfg:9", initrds)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A host whose kernel was given an initramfs by its loader."""
    return Tree(tmp_path).running(DEBIAN_13).file(PARAMETERS, given(9000))


# -- where only the running kernel is known


def test_what_the_generator_builds_for_this_release_counts(tree: Tree) -> None:
    assert images_of(tree.directory("/etc/dpkg").file(IMAGE).host(), running()) == Images((IMAGE,))


def test_without_an_image_what_the_initramfs_does_is_unknown(tree: Tree) -> None:
    sentence = f"No initramfs of kernel {DEBIAN_13} was found, and it may be on a partition that is not mounted: what it does is unknown."
    assert images_of(tree.host(), running()) == Images((), (sentence,))
    assert read_initramfs.find(tree.host(), running()).doubts == (sentence,)


@pytest.mark.parametrize(
    "place",
    [
        *("/boot/initramfs-linux.img", "/boot/initramfs-linux-fallback.img", "/boot/initrd", "/boot/booster-linux.img", "/efi/arch.img"),
        *("/efi/EFI/Linux/arch.efi", "/boot/efi/EFI/Linux/Arch.EFI", "/boot/initrd-6.12.9-default"),
    ],
)
def test_images_of_names_without_the_release_are_named(tree: Tree, place: str) -> None:
    (doubt,) = images_of(tree.file(place).host(), running()).doubts
    assert f" {place} may be its initramfs" in doubt


def test_an_image_named_by_its_package_is_read_and_in_doubt(tree: Tree) -> None:
    tree.file(f"/lib/modules/{DEBIAN_13}/pkgbase", "linux-zen\n").file("/boot/initramfs-linux-zen.img", archive(initramfs_tools()))
    found = read_initramfs.find(tree.host(), running())
    assert found.early is not None
    (doubt,) = found.doubts
    assert doubt.startswith("/boot/initramfs-linux-zen.img is taken for the initramfs")


def test_a_package_of_a_strange_name_names_no_image(tree: Tree) -> None:
    tree.file(f"/lib/modules/{DEBIAN_13}/pkgbase", "../x").file("/boot/x.img")
    assert images_of(tree.host(), running()).paths == ()


@pytest.mark.parametrize("word", ["initrd=\\initramfs-linux.img", "initrd=/initramfs-linux.img", "initrd=\\INITRAMFS-linux.img"])
@pytest.mark.parametrize("partition", ["/boot", "/efi", "/boot/efi"])
def test_the_running_kernels_command_line_names_its_image(tree: Tree, word: str, partition: str) -> None:
    host = tree.file(f"{partition}/initramfs-linux.img").file(IMAGE).directory("/etc/dpkg").host()
    assert images_of(host, running(f"root=UUID=1 {word} ro")) == Images((f"{partition}/initramfs-linux.img",))


def test_several_images_on_the_command_line_keep_their_order(tree: Tree) -> None:
    host = tree.file("/boot/intel-ucode.img").file("/boot/initramfs-linux.img").host()
    wanted = Images(("/boot/intel-ucode.img", "/boot/initramfs-linux.img"))
    assert images_of(host, running("initrd=\\intel-ucode.img initrd=\\initramfs-linux.img")) == wanted
    assert images_of(host, running("initrd=/intel-ucode.img,/initramfs-linux.img")) == wanted


def test_an_image_on_a_partition_that_is_not_mounted_is_unknown(tree: Tree) -> None:
    (doubt,) = images_of(tree.file(IMAGE).directory("/etc/dpkg").host(), running("initrd=\\EFI\\arch\\initramfs.img")).doubts
    assert doubt.startswith("/proc/cmdline: initrd=\\EFI\\arch\\initramfs.img ")


def test_the_running_kernels_image_is_not_that_of_another_kernel(tree: Tree) -> None:
    host = tree.file("/boot/initramfs-linux.img").file(f"/boot/initrd.img-{DEBIAN_12}").directory("/etc/dpkg").host()
    assert images_of(host, running("initrd=\\initramfs-linux.img", DEBIAN_12)).paths == (f"/boot/initrd.img-{DEBIAN_12}",)


# -- where it is known that there is none


def test_a_kernel_that_was_given_none_has_none(tree: Tree) -> None:
    assert images_of(tree.file(PARAMETERS, given(0)).file("/boot/initramfs-linux.img").host(), running()) == Images()
    assert images_of(tree.host(), running(release=DEBIAN_12)).doubts
    assert images_of(tree.file(PARAMETERS, b"\0" * 0x21F).host(), running()).doubts


def test_a_large_image_is_one_too(tree: Tree) -> None:
    content = bytearray(4096)
    struct.pack_into("<I", content, find_images.EXTENDED_RAMDISK_SIZE, 1)
    assert images_of(tree.file(PARAMETERS, bytes(content)).host(), running()).doubts


def test_with_efi_the_parameters_do_not_tell(tree: Tree) -> None:
    assert images_of(tree.file(PARAMETERS, given(0)).directory("/sys/firmware/efi").host(), running()).doubts


@pytest.mark.parametrize(("name", "is_known"), [("bootargs", True), ("linux,initrd-start", False)])
def test_a_device_tree_tells_whether_there_is_an_image(tmp_path: Path, name: str, is_known: bool) -> None:
    tree = Tree(tmp_path).file("/proc/sys/kernel/osrelease", DEBIAN_13).file(f"/sys/firmware/devicetree/base/chosen/{name}")
    assert (images_of(tree.host(), running()) == Images()) is is_known


def test_a_kernel_that_takes_no_initramfs_has_none(tree: Tree) -> None:
    assert images_of(tree.file(CONFIG, "# CONFIG_BLK_DEV_INITRD is not set\nCONFIG_PCI=y\n").host(), running()) == Images()
    assert images_of(tree.file(CONFIG, "CONFIG_BLK_DEV_INITRD=y\n").host(), running()).doubts


def test_an_entry_without_an_image_says_that_there_is_none(tree: Tree) -> None:
    assert images_of(tree.file(IMAGE).host(), of_menu()) == Images()


def test_noinitrd_beside_an_image_is_a_doubt(tree: Tree) -> None:
    assert images_of(tree.host(), of_menu(IMAGE)).doubts == ()
    assert images_of(tree.host(), of_menu(IMAGE, cmdline="noinitrd")).doubts == (
        "/boot/grub/grub.cfg:9: noinitrd makes some kernels boot without the initramfs.",
    )


# -- what is in the files


def stage_of(tree: Tree, entry: BootEntry) -> tuple[str | None, tuple[str, ...]]:
    found = read_initramfs.find(tree.host(), entry)
    return (None if found.early is None else found.early.stage.place), found.doubts


def test_a_unified_images_own_initramfs_is_read(tree: Tree) -> None:
    place = "/efi/EFI/Linux/own.efi"
    content = archive(dracut() | {"etc/modprobe.d/site.conf": "blacklist nouveau\n"})
    tree.file(place, unified_image([(".linux", b"kernel"), (".initrd", packed(content, "zstd")), (".more", b"x" * 100)]))
    found = read_initramfs.find(tree.host(Commands(tree.root)), of_menu(place))
    assert found.early is not None
    assert found.doubts == ()
    assert [str(line) for line in found.early.stage.config.blacklisted("nouveau")] == [f"{place}:/etc/modprobe.d/site.conf:1"]


def test_a_unified_image_without_an_initramfs_is_not_an_image(tree: Tree) -> None:
    (doubt,) = stage_of(tree.file("/efi/x.efi", unified_image([(".linux", b"kernel")])), of_menu("/efi/x.efi"))[1]
    assert doubt == "/efi/x.efi cannot be read: it is a program without an initramfs."


def with_boot_config(content: bytes, text: str, padding: bytes = b"") -> bytes:
    """As tools/bootconfig writes it."""
    data = text.encode() + b"\0"
    data += b"\0" * (-(len(content) + len(data)) % 4)
    return content + data + struct.pack("<II", len(data), sum(data)) + b"#BOOTCONFIG\n" + padding


@pytest.mark.parametrize("padding", [b"", b"\0\0\0"])
def test_a_boot_configuration_at_an_images_end_is_noticed(tree: Tree, padding: bytes) -> None:
    content = packed(archive(initramfs_tools()), "gzip")
    tree.file(IMAGE, with_boot_config(content, 'kernel {\n  modprobe.blacklist = "nouveau"\n}\n', padding))
    sentence = f"{IMAGE} ends with a boot configuration, which gives the kernel further arguments; these are not read."
    assert stage_of(tree, of_menu(IMAGE)) == (IMAGE, (sentence,))
    tree.file(CONFIG, "# CONFIG_BOOT_CONFIG_FORCE is not set\n")
    assert stage_of(tree, of_menu(IMAGE)) == (IMAGE, ())
    assert stage_of(tree, of_menu(IMAGE, cmdline="ro bootconfig")) == (IMAGE, (sentence,))


def test_a_boot_configuration_without_arguments_changes_nothing(tree: Tree) -> None:
    tree.file(IMAGE, with_boot_config(archive(initramfs_tools()), "ftrace.event.foo = 1\n"))
    assert stage_of(tree, of_menu(IMAGE, cmdline="bootconfig")) == (IMAGE, ())


@pytest.mark.parametrize("end", [b"#BOOTCONFIG\n", b"\xff\xff\xff\x7f\0\0\0\0#BOOTCONFIG\n"])
def test_an_end_that_only_looks_like_a_boot_configuration_is_a_doubt(tree: Tree, end: bytes) -> None:
    assert "bytes that start neither" in stage_of(tree.file(IMAGE, archive(initramfs_tools()) + end), of_menu(IMAGE))[1][0]


def test_a_later_image_replaces_links_and_files_of_an_earlier_one(tree: Tree) -> None:
    first = archive(initramfs_tools() | {"etc/modprobe.d/site.conf": "blacklist e1000e\n"})
    tree.file(IMAGE, first).file("/boot/more.img", archive({"etc/modprobe.d/site.conf": "blacklist igb\n"}))
    found = read_initramfs.find(tree.host(), of_menu(IMAGE, "/boot/more.img"))
    assert found.early is not None
    config = found.early.stage.config
    assert (bool(config.blacklisted("e1000e")), bool(config.blacklisted("igb"))) == (False, True)


def test_a_damaged_one_among_several_is_named(tree: Tree) -> None:
    tree.file(IMAGE, archive(initramfs_tools())).file("/boot/more.img", b"damaged")
    assert stage_of(tree, of_menu(IMAGE, "/boot/more.img"))[1][0].startswith("/boot/more.img cannot be read")

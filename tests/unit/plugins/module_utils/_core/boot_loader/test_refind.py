# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rEFInd gives each kernel, and what it boots.  (rEFInd 0.14: refind/config.c, linux.c, scan.c, mystrings.c, main.c)"""

from __future__ import annotations

import os
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import next_boot
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.refind_settings import VENDOR, numbers, tokens
from ansible_collections.vfio.variants.tests.unit.boot_menus import boot_numbers, boot_option, bzimage, debian_grub
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

LINUX, LTS = "6.17.1-arch1-1", "6.12.50-1-lts"
PROGRAM, CONF = "/boot/EFI/refind/refind_x64.efi", "/boot/EFI/refind/refind.conf"
OPTIONS = '"Boot with standard options"  "root=/dev/a rw"\n"Boot to single-user mode"  "root=/dev/a rw single"\n'
ARCH = {"vmlinuz-linux": LINUX, "vmlinuz-linux-lts": LTS}
IMAGES = ("initramfs-linux.img", "initramfs-linux-fallback.img", "initramfs-linux-lts.img", "intel-ucode.img")


def host(root: Path, kernels: t.Mapping[str, str], images: t.Iterable[str] = IMAGES, options: str | None = OPTIONS) -> Tree:
    """The firmware starts rEFInd, and the kernels are beside it on /boot; of these the first is the newest."""
    tree = Tree(root).running(LINUX).cmdline("root=/dev/a rw").file(PROGRAM, b"MZ").file(CONF, "timeout 5\n")
    boot_numbers(boot_numbers(boot_option(tree, 0, "\\EFI\\refind\\refind_x64.efi", "rEFInd"), "BootOrder", 0), "BootCurrent", 0)
    for age, (name, release) in enumerate(kernels.items()):
        tree.file(f"/boot/{name}", bzimage(release))
        os.utime(tree.place(f"/boot/{name}"), (1e9 - age, 1e9 - age))
    for name in images:
        tree.file(f"/boot/{name}")
    return tree if options is None else tree.file("/boot/refind_linux.conf", options)


def last(tree: Tree, title: str) -> Tree:
    content = b"\x07\0\0\0" + f"{title}\0".encode("utf-16-le")
    return tree.file(f"/sys/firmware/efi/efivars/PreviousBoot-{VENDOR}", content)


def read(tree: Tree) -> next_boot.NextBoot:
    return next_boot.read(tree.host())


GIVEN: dict[str, tuple[str, str, tuple[str, ...], tuple[str, ...]]] = {
    "the first line": (OPTIONS, "", ("root=/dev/a", "rw", "initrd=\\initramfs-linux.img"), ("initramfs-linux.img",)),
    "comments and empty lines": (f"# a\n\n{OPTIONS}", "", ("root=/dev/a", "rw", "initrd=\\initramfs-linux.img"), ("initramfs-linux.img",)),
    "a comma between them": ('"a","ro"\n', "", ("ro", "initrd=\\initramfs-linux.img"), ("initramfs-linux.img",)),
    "a word without quotes": ("a ro quiet\n", "", ("ro", "initrd=\\initramfs-linux.img"), ("initramfs-linux.img",)),
    "a title alone": ('"a"\n"b" "ro"\n', "", ("initrd=\\initramfs-linux.img",), ("initramfs-linux.img",)),
    "two quotes": ('"a" "x=""b c"" ro"\n', "", ('x="b c"', "ro", "initrd=\\initramfs-linux.img"), ("initramfs-linux.img",)),
    "images of its own": (
        '"a" "ro initrd=intel-ucode.img initrd=\\initramfs-linux-fallback.img"\n',
        "",
        ("ro", "initrd=intel-ucode.img", "initrd=\\initramfs-linux-fallback.img"),
        ("intel-ucode.img", "initramfs-linux-fallback.img"),
    ),
    "a version that is set": (
        '"a" "ro initrd=initramfs-%v.img"\n',
        "extra_kernel_version_strings linux-lts,linux\n",
        ("ro", "initrd=initramfs-linux.img"),
        ("initramfs-linux.img",),
    ),
    "a version that is set in a file that is included": (
        '"a" "ro initrd=initramfs-%v.img"\n',
        "include more.conf\n",
        ("ro", "initrd=initramfs-linux.img"),
        ("initramfs-linux.img",),
    ),
}


@pytest.mark.parametrize("name", GIVEN)
def test_a_kernel_is_given_the_first_line_beside_it_and_an_image_of_its_version(tmp_path: Path, name: str) -> None:
    options, conf, arguments, images = GIVEN[name]
    tree = host(tmp_path, ARCH, options=options).file(CONF, conf)
    tree.file("/boot/EFI/refind/more.conf", "extra_kernel_version_strings linux-lts,linux\n")
    entry = read(tree).entries[LINUX]
    assert entry.cmdline.arguments == arguments
    assert (entry.initrds, entry.doubts) == (tuple(f"/boot/{image}" for image in images), ())


@pytest.mark.parametrize(("conf", "image"), [("", "initramfs-linux.img"), ("extra_kernel_version_strings linux-lts,linux\n", IMAGES[2])])
def test_kernels_without_a_number_all_get_the_image_of_the_shortest_name(tmp_path: Path, conf: str, image: str) -> None:
    entry = read(host(tmp_path, ARCH).file(CONF, conf)).entries[LTS]
    assert entry.initrds == (f"/boot/{image}",)


FEDORA = "6.14.5-300.fc42.x86_64"
# The kernel, its release, the image that it gets, and others.
FITTING: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "Debian's": ("vmlinuz-6.1.0-50-amd64", "6.1.0-50-amd64", "initrd.img-6.1.0-50-amd64", ("initrd.img-6.1.0-5-amd64",)),
    "Fedora's": (f"vmlinuz-{FEDORA}", FEDORA, f"initramfs-{FEDORA}.img", ("initramfs-0-rescue-4d.img",)),
    "what follows the version": ("vmlinuz-6.1-b", "6.1-b", "initrd.img-6.1-b", ("initrd.img-6.1-ab", "init-6.1")),
    "booster's": ("vmlinuz-linux", LINUX, "booster-linux.img", ("intel-ucode.img",)),
}


@pytest.mark.parametrize("name", FITTING)
def test_the_image_that_fits_best_is_taken(tmp_path: Path, name: str) -> None:
    kernel, release, image, others = FITTING[name]
    assert read(host(tmp_path, {kernel: release}, (*others, image))).entries[release].initrds == (f"/boot/{image}",)


def test_without_options_beside_it_a_kernel_s_arguments_are_not_known(tmp_path: Path) -> None:
    entry = read(host(tmp_path, ARCH, options=None)).entries[LINUX]
    assert "has no refind_linux.conf" in entry.doubts[0]


LAST: dict[str, tuple[str, str, str | None]] = {
    "the newest": ("", "Boot vmlinuz-linux from ESP ", LINUX),
    "in another case": ("", "Boot VMLINUZ-LINUX from ESP ", LINUX),
    "one that is folded": ("", "Boot vmlinuz-linux-lts from ESP ", None),
    "one that is not folded": ("fold_linux_kernels false\n", "Boot vmlinuz-linux-lts from ESP ", LTS),
    "another system": ("", "Boot EFI\\Microsoft\\Boot\\bootmgfw.efi from ESP ", None),
    "a title of its own": ("", "Arch", None),
    "another default": ("default_selection Microsoft\n", "Boot vmlinuz-linux from ESP ", None),
    "a default by the time": ("default_selection + 8:00 17:00\n", "Boot vmlinuz-linux from ESP ", None),
    "the default that is usual": ("default_selection +\n", "Boot vmlinuz-linux from ESP ", LINUX),
    "a list of defaults": ('default_selection "+,bzImage"\n', "Boot vmlinuz-linux from ESP ", None),
}


@pytest.mark.parametrize("name", LAST)
def test_what_was_booted_last_boots_again_if_it_still_is_an_entry(tmp_path: Path, name: str) -> None:
    conf, title, release = LAST[name]
    boot = read(last(host(tmp_path, ARCH).file(CONF, conf), title))
    assert boot.release == release
    assert bool(boot.doubts) is (release is None)
    assert boot.entries[LINUX].doubts == ()


@pytest.mark.parametrize(("conf", "release"), [("use_nvram false\n", LINUX), ("use_nvram true\n", None)])
def test_it_remembers_in_a_file_where_that_is_set(tmp_path: Path, conf: str, release: str | None) -> None:
    tree = host(tmp_path, ARCH).file(CONF, conf)
    tree.file("/boot/EFI/refind/vars/PreviousBoot", "Boot vmlinuz-linux from ESP \0".encode("utf-16-le"))
    assert read(tree).release == release


def test_a_kernel_on_the_root_is_in_the_folder_boot(tmp_path: Path) -> None:
    tree = last(host(tmp_path, ARCH), "Boot @\\boot\\vmlinuz-linux from ROOT ")
    tree.file("/proc/self/mountinfo", "30 1 0:26 / / rw - btrfs /dev/a rw\n40 30 8:1 / /efi rw - vfat /dev/b rw\n")
    boot = read(tree)
    assert (boot.release, boot.doubts) == (LINUX, ())
    assert boot.entries[LINUX].initrds == ("/boot/initramfs-linux.img",)


def test_a_rescue_kernel_stands_last(tmp_path: Path) -> None:
    kernels = {"vmlinuz-0-rescue-4d": "6.1.1", "vmlinuz-linux": LINUX}
    assert read(last(host(tmp_path, kernels), "Boot vmlinuz-linux from ESP ")).release == LINUX


@pytest.mark.parametrize("conf", ["dont_scan_files vmlinuz-linux\n", "linux_prefixes bzImage\n"])
def test_what_is_not_sought_is_not_in_the_menu(tmp_path: Path, conf: str) -> None:
    boot = read(last(host(tmp_path, {"vmlinuz-linux": LINUX}).file(CONF, conf), "Boot vmlinuz-linux from ESP "))
    assert boot.release is None


@pytest.mark.parametrize(("conf", "is_found"), [("", True), ("dont_scan_dirs EFI/arch\n", False), ("dont_scan_dirs ESP:EFI/other\n", True)])
def test_a_kernel_may_be_in_a_folder_of_a_loader(tmp_path: Path, conf: str, is_found: bool) -> None:
    tree = host(tmp_path, {}, (), None).file(CONF, conf).file("/boot/EFI/arch/vmlinuz-linux", bzimage(LINUX))
    tree.file("/boot/EFI/arch/refind_linux.conf", OPTIONS).file("/boot/EFI/arch/initramfs-linux.img")
    boot = read(last(tree, "Boot EFI\\arch\\vmlinuz-linux from ESP "))
    assert (boot.release == LINUX) is is_found
    if is_found:
        assert boot.entries[LINUX].cmdline.values("initrd") == ("EFI\\arch\\initramfs-linux.img",)
        assert boot.entries[LINUX].initrds == ("/boot/EFI/arch/initramfs-linux.img",)


def test_of_a_kernel_with_a_signed_copy_the_copy_counts(tmp_path: Path) -> None:
    tree = host(tmp_path, {"vmlinuz-6.1.1": "6.1.1", "vmlinuz-6.1.1.efi.signed": "6.1.1"}, ("initrd.img-6.1.1",))
    assert read(last(tree, "Boot vmlinuz-6.1.1 from ESP ")).release is None
    assert read(last(tree, "Boot vmlinuz-6.1.1.efi.signed from ESP ")).release == "6.1.1"


STANZA = 'menuentry "Arch" {{\n  loader /vmlinuz-linux\n  initrd /initramfs-linux.img\n  options "{options}"\n{more}}}\n'
STANZAS: dict[str, tuple[str, bool]] = {
    "other arguments": (STANZA.format(options="root=/dev/b", more=""), True),
    "one that is disabled": (STANZA.format(options="root=/dev/b", more="  disabled\n"), False),
    "a remark": ("\n".join(f"#{line}" for line in STANZA.format(options="root=/dev/b", more="").splitlines()), False),
    "a submenu of another loader": (
        'menuentry "W" {\n  loader \\EFI\\w.efi\n  submenuentry "x" {\n    loader /vmlinuz-linux\n    options "b"\n  }\n}\n',
        False,
    ),
}


@pytest.mark.parametrize("name", STANZAS)
def test_a_kernel_with_entries_that_differ_is_doubted_unless_it_is_known_which_boots(tmp_path: Path, name: str) -> None:
    conf, is_doubted = STANZAS[name]
    tree = host(tmp_path, {"vmlinuz-linux": LINUX}).file(CONF, conf)
    assert any("entries for this kernel that differ" in doubt for doubt in read(tree).entries[LINUX].doubts) is is_doubted
    assert read(last(tree, "Boot vmlinuz-linux from ESP ")).entries[LINUX].doubts == ()


def test_grub_beside_it_may_be_what_it_starts(tmp_path: Path) -> None:
    tree = host(tmp_path, {"vmlinuz-linux": LINUX}).file("/boot/grub/grub.cfg", debian_grub([LINUX], "other"))
    assert read(tree).entries[LINUX].doubts
    assert read(last(tree, "Boot vmlinuz-linux from ESP ")).entries[LINUX].doubts == ()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('a "b c" d', ["a", "b c", "d"]),
        ("a=b,c d", ["a", "b", "c", "d"]),
        ("a b # c", ["a", "b"]),
        ('a "b # c"', ["a", "b # c"]),
        ("loader /EFI/x.efi", ["loader", "\\EFI\\x.efi"]),
        ('loader "/EFI/x.efi"', ["loader", "/EFI/x.efi"]),
        ("# a", []),
        ("", []),
        ("a#b", ["a"]),
    ],
)
def test_a_line_s_words(line: str, words: list[str]) -> None:
    assert tokens(line) == words


@pytest.mark.parametrize(
    ("name", "extra", "version"),
    [
        ("vmlinuz-6.1.0-50-amd64", (), "6.1.0-50-amd64"),
        ("vmlinuz-linux", (), None),
        ("vmlinuz-linux-lts", ("linux-lts", "linux"), "linux-lts"),
        ("vmlinuz-linux612", ("linux",), "linux612"),
        ("bzImage-3.3.0.efi", (), "3.3.0"),
    ],
)
def test_the_version_in_a_name(name: str, extra: tuple[str, ...], version: str | None) -> None:
    assert numbers(name, extra) == version

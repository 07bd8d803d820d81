# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What GRUB, Syslinux and U-Boot's menu call their files and commands, by their own sources."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import (
    cmdline_way,
    extlinux,
    grub_environment,
    grub_loading,
    grub_shell,
    in_charge,
    next_boot,
)
from ansible_collections.vfio.variants.tests.unit.sources import PROGRAMS
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, Tree

COMMANDS = "grub-efi-amd64-bin-2.06/usr/lib/grub/x86_64-efi/command.lst"
ENVIRONMENT = "grub2-2.06/include/grub/lib/envblk.h"
# Commands of GRUB builds that Debian does not have: of i386 BIOS, of arm64 with Xen, of GRUB's own past.
NOT_ON_EFI = {"linux32", "initrd32", "kernel", "xen_hypervisor", "xen_module"}


def defined(path: str, name: str) -> str:
    found = re.search(rf'^#define\s+{name}\s+"([^"]*)"', PROGRAMS.text(path), re.MULTILINE)
    assert found is not None
    return found[1].replace("\\n", "\n")


def test_grub_s_environment_block_begins_as_grub_writes_it() -> None:
    assert defined(ENVIRONMENT, "GRUB_ENVBLK_SIGNATURE") == grub_environment.SIGNATURE
    assert defined(ENVIRONMENT, "GRUB_ENVBLK_DEFCFG") == "grubenv"


def test_grub_announces_these_features() -> None:
    assert PROGRAMS.quoted("grub2-2.06/grub-core/normal/main.c", "static const char *features[]", "};") == grub_shell.FEATURES


def test_grub_has_the_commands_that_load_something() -> None:
    modules = dict(re.findall(r"^\*?(\w+): (\w+)$", PROGRAMS.text(COMMANDS), re.MULTILINE))
    named = {*grub_loading.LINUX, *grub_loading.INITRD, *grub_loading.HYPERVISOR, *grub_loading.MODULE}
    assert named - NOT_ON_EFI <= modules.keys()
    # What else the modules that load kernels of Linux and hypervisors register would be missed.
    loading = {"linux", "linux16", "linuxefi", "multiboot", "multiboot2"}
    assert {command for command, module in modules.items() if module in loading} <= named


def test_grub_mkconfig_marks_the_parts_of_its_configuration_and_update_grub_writes_it_here() -> None:
    marks = re.findall(r'echo "(### BEGIN )\$i ###"', PROGRAMS.text("grub-common-2.06/usr/sbin/grub-mkconfig"))
    assert marks
    assert cmdline_way.BY_MKCONFIG.startswith(marks[0])
    assert "/etc/grub.d" in cmdline_way.BY_MKCONFIG
    written = re.findall(r"grub-mkconfig -o (\S+)", PROGRAMS.text("grub2-common-2.06/usr/sbin/update-grub"))
    assert written == [in_charge.GRUB_CONFIGS[0]]


def test_syslinux_seeks_its_configuration_in_these_folders_by_these_names() -> None:
    source = "syslinux-6.04/core/fs/lib/loadconfig.c"
    folders = [one.rstrip("/") for one in PROGRAMS.quoted(source, "*search_directories[]", "};")]
    names = PROGRAMS.quoted(source, "*filenames[]", "};")
    assert names == ("extlinux.conf", *extlinux.OF_EFI)
    # A folder of the partition that is mounted at /boot, or of the root.
    for folder in folders:
        place = folder if folder.startswith("/boot") else f"/boot{folder}"
        assert [one for one in extlinux.CONFIGS if one.rpartition("/")[0] == place] == [f"{place}/{name}" for name in extlinux.NAMES]


def test_extlinux_and_u_boot_s_menu_have_the_same_folder() -> None:
    text = " ".join(PROGRAMS.text("syslinux-6.04/doc/extlinux.txt").split())
    recommended = re.findall(r"(\S+) is the recommended location for extlinux", text)
    (made,) = re.findall(r'^_U_BOOT_DIRECTORY="([^"]+)"', PROGRAMS.text("u-boot-menu-4.2/usr/sbin/u-boot-update"), re.MULTILINE)
    assert recommended == [made]
    assert extlinux.CONFIGS[:2] == (f"{made}/extlinux.conf", f"{made}/syslinux.cfg")


def menu(release: str) -> str:
    return f"default a\nlabel a\n  linux /boot/vmlinuz-{release}\n  append ro\n"


@pytest.mark.parametrize("folder", ["/boot/extlinux", "/boot/syslinux"])
def test_of_two_names_in_a_folder_extlinux_conf_is_read(tmp_path: Path, folder: str) -> None:
    tree = Tree(tmp_path)
    for release in (DEBIAN_12, DEBIAN_13):
        tree.kernel(release, {}).file(f"/boot/vmlinuz-{release}", b"")
    tree.file(f"{folder}/syslinux.cfg", menu(DEBIAN_12))
    assert next_boot.read(tree.host()).release == DEBIAN_12
    assert next_boot.read(tree.file(f"{folder}/extlinux.conf", menu(DEBIAN_13)).host()).why.startswith(f"{folder}/extlinux.conf")


@pytest.mark.parametrize("place", ["/boot/limine.cfg", "/boot/efi/EFI/BOOT/limine.cfg"])
def test_a_limine_of_before_its_new_syntax_is_named(tmp_path: Path, place: str) -> None:
    tree = Tree(tmp_path).file(place, ":Linux\nPROTOCOL=linux\n").running(DEBIAN_13).cmdline("ro")
    assert next_boot.read(tree.host()).why == f"{place}: this host may boot with an old Limine, whose default entry cannot be determined."

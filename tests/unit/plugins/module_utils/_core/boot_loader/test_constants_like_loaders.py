# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What GRUB, Syslinux, U-Boot's menu, proxmox-boot-tool and Limine call their files and commands, by their own sources."""

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
    limine,
    next_boot,
    other_loaders,
    stale_settings,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import PARTITIONS
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.families import PROXMOX_BOOT_TOOL
from ansible_collections.vfio.variants.plugins.module_utils._core.pci import uses_mounts
from ansible_collections.vfio.variants.tests.unit.sources import LOADERS, PROGRAMS
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


HELPER, SHARED, HOOK = "proxmox-kernel-helper", "src/proxmox-boot/functions", "src/proxmox-boot/zz-proxmox-boot"


def test_proxmox_boot_tool_names_its_partitions_and_copies_kernels_there() -> None:
    listed = LOADERS.variable(HELPER, SHARED, "ESP_LIST")
    assert {in_charge.PROXMOX, cmdline_way.PROXMOX_UUIDS, uses_mounts.PROXMOX_ESPS} == {listed}
    folder = LOADERS.variable(HELPER, SHARED, "PMX_ESP_DIR")
    hook = LOADERS.lines(HELPER, HOOK)
    (kernel,) = (line.split()[1] for line in hook if line.startswith("linux "))
    copy = kernel.replace("${KERNEL_ESP_DIR}", f"{folder}/{DEBIAN_13}").replace("${kver}", DEBIAN_13)
    assert cmdline_way.is_copy(f"/boot/efi{copy}")
    assert any(f"/{folder}/grubx64.efi" in line for line in hook)
    assert any("refresh" in line for line in LOADERS.lines(HELPER, f"src/bin/{PROXMOX_BOOT_TOOL}"))


def test_proxmox_boot_tool_takes_its_arguments_from_kernel_install_s_file() -> None:
    (line,) = (line for line in LOADERS.lines(HELPER, HOOK) if line.startswith("CMDLINE="))
    assert f"get_first_line {stale_settings.KERNEL_INSTALL})" in line


@pytest.mark.parametrize(
    ("ending", "places"),
    [("conf", tuple(limine.configurations(PARTITIONS))), ("cfg", tuple(other_loaders.on_partitions()))],
)
def test_limine_seeks_its_configuration_in_these_folders(ending: str, places: tuple[str, ...]) -> None:
    source = [re.search(r'"(/[^"]*)"', line) for line in LOADERS.lines("Limine", "common/lib/config.c")]
    sought = [found[1] for found in source if found is not None and found[1].endswith(f".{ending}")]
    assert len(sought) == 5
    documented = re.findall(r"`(/EFI/[^`]*)`", "".join(LOADERS.lines("Limine", "CONFIG.md"))) if ending == "conf" else []
    wanted = {f"{partition}{path}" for partition in PARTITIONS for path in (*sought, *documented)}
    assert wanted == {place for place in places if f"limine.{ending}" in place}


def test_limine_has_these_options() -> None:
    known = {option for line in LOADERS.lines("Limine", "CONFIG.md") for option in re.findall(r"^\* `(\w+)`", line)}
    asked = {"default_entry", "remember_last_entry", "path", "kernel_path", "module_path", "cmdline", "kernel_cmdline", *limine.HIDING}
    assert asked <= known
    text = " ".join(LOADERS.lines("Limine", "CONFIG.md"))
    assert all(f"`{name}`" in text for name in (limine.ONE_SHOT, limine.DEFAULT))
    (place,) = re.findall(r"E\.g\.: `([^`]*)`", text)
    found = limine.PLACE.match(place.replace("...", ""))
    assert found is not None
    assert found[1] == "somemodule.tar"
    assert limine.USED_MACRO.findall(text) == ["MY_MACRO"]

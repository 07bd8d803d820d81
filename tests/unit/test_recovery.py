# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/recovery.md names the files, the word and the commands that the code has."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.cmdline_record import OPERATION
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.cmdline_settings import DROP_IN, U_BOOT
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.stale_settings import KERNEL_INSTALL as LINE
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.stale_settings import SETTINGS
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.families import ANY, ENTRIES, GRUB_MKCONFIG
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.programs import REINSTALL_KERNELS
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.suse_loader import SDBOOTUTIL
from ansible_collections.vfio.variants.plugins.module_utils._core.host.journal import DIRECTORY
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.generator import DRACUT, INITRAMFS_TOOLS, MKINITCPIO
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.off_word import ARGUMENT, OFF_WORD
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import DEVICES
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.policy import DEFAULT_NAME, HEADER, PolicyPaths, header

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/recovery.md").read_text(encoding="utf-8")
PATHS = PolicyPaths(DEFAULT_NAME)
PATH = re.compile(r"(?<![\w.)/\]$:])/[a-z][\w./:-]*[\w]")
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
CARD = f"{DEVICES}/0000:3b:00.0"
OF_SYSFS = {f"{CARD}/driver_override", f"{CARD}/driver/unbind", f"{DEVICES.rpartition('/')[0]}/drivers_probe"}
"""What `device_claim` writes to as well."""
GRUB2 = "/boot/grub2/grub.cfg"
OF_ARGUMENTS = {DROP_IN, SETTINGS, LINE, U_BOOT, f"{DIRECTORY}/{OPERATION}.json"}
"""Where `kernel_cmdline` has arguments, and where it notes which."""
OF_THE_READER = {"/etc", "/boot", "/mnt", "/mnt/boot/efi", "/mnt/", "/dev/sda1", "/dev/sda2", "/usr/lib/booster/regenerate_images", GRUB2}
"""Mount points and disks of a rescue system, and a program that is not ours."""


def test_the_files_to_remove_are_those_that_a_policy_may_have() -> None:
    (command,) = [block for block in BLOCK.findall(PAGE) if block.startswith("rm ")]
    assert sorted(command.replace("\\\n", " ").split()[2:]) == sorted(PATHS.all)


def test_each_path_is_one_that_the_code_writes_or_that_the_reader_has() -> None:
    found = set(PATH.findall(PAGE))
    assert set(PATHS.all) | OF_SYSFS | OF_ARGUMENTS <= found
    known = {*PATHS.all, *OF_SYSFS, *OF_ARGUMENTS, *OF_THE_READER}
    assert found <= known, sorted(found - known)


def test_arguments_are_taken_out_by_each_program_that_puts_them_in() -> None:
    (section,) = re.findall(r"### Kernel arguments\n(.*?)\n###", PAGE, re.DOTALL)
    assert [method for method in ANY if method not in section and method not in (GRUB_MKCONFIG, ENTRIES)] == []
    assert "`update-grub`" in section
    assert "by hand" in section


def test_what_is_sought_is_the_first_line_of_each_file() -> None:
    (command,) = [block for block in BLOCK.findall(PAGE) if block.startswith("grep ")]
    assert f'"{HEADER}"' in command
    assert header("any").startswith(HEADER)


def test_the_word_is_the_one_that_the_files_ask_for() -> None:
    assert ARGUMENT in PAGE
    assert set(re.findall(rf"{OFF_WORD}=\w+", PAGE)) == {ARGUMENT}


def test_the_images_are_rebuilt_by_the_generators_that_the_policy_is_written_for() -> None:
    makers = ("initramfs-tools", "dracut", "sdbootutil", "kernel-install-for-dracut", "mkinitcpio")
    rows = [line for line in PAGE.splitlines() if line.startswith(tuple(f"| {maker}" for maker in makers))]
    rows = [row for row in rows if "unified" not in row]
    commands = [*INITRAMFS_TOOLS.program.companions, DRACUT.command, SDBOOTUTIL, f"{REINSTALL_KERNELS}`", MKINITCPIO.command]
    assert [row.rpartition("| `")[2].split()[0] for row in rows] == commands

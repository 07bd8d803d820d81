# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/recovery.md names the files, the word and the commands that the code has."""

from __future__ import annotations

import re
from pathlib import Path

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
OF_THE_READER = {"/etc", "/boot", "/mnt", "/mnt/boot/efi", "/mnt/", "/dev/sda1", "/dev/sda2", "/usr/lib/booster/regenerate_images"}
"""Mount points and disks of a rescue system, and a program that is not ours."""


def test_the_files_to_remove_are_those_that_a_policy_may_have() -> None:
    (command,) = [block for block in BLOCK.findall(PAGE) if block.startswith("rm ")]
    assert sorted(command.replace("\\\n", " ").split()[2:]) == sorted(PATHS.all)


def test_each_path_is_one_that_the_code_writes_or_that_the_reader_has() -> None:
    found = set(PATH.findall(PAGE))
    assert set(PATHS.all) | OF_SYSFS <= found
    assert found <= {*PATHS.all, *OF_SYSFS, *OF_THE_READER}, sorted(found - {*PATHS.all, *OF_SYSFS, *OF_THE_READER})


def test_what_is_sought_is_the_first_line_of_each_file() -> None:
    (command,) = [block for block in BLOCK.findall(PAGE) if block.startswith("grep ")]
    assert f'"{HEADER}"' in command
    assert header("any").startswith(HEADER)


def test_the_word_is_the_one_that_the_files_ask_for() -> None:
    assert ARGUMENT in PAGE
    assert set(re.findall(rf"{OFF_WORD}=\w+", PAGE)) == {ARGUMENT}


def test_the_images_are_rebuilt_by_the_generators_that_the_policy_is_written_for() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith(("| initramfs-tools", "| dracut", "| mkinitcpio"))]
    commands = [*INITRAMFS_TOOLS.program.companions, DRACUT.command, MKINITCPIO.command]
    assert [row.rpartition("| `")[2].split()[0] for row in rows] == commands

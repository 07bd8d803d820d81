# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files in directories, or with names, that nothing reads: read from a tree, as the module does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info
from ansible_collections.vfio.variants.tests.unit.trees import Tree, stock_debian

RULE = 'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="0000:01:00.0", ATTR{driver_override}="vfio-pci"\n'
USB = 'ACTION=="add", SUBSYSTEM=="usb", MODE="0666"\n'


def told(tree: Tree) -> str:
    result = device_info(tree.host(Commands(tree.root)))
    return "\n".join([*result["policy_warnings"], *(warning for one in result["devices"] for warning in one["warnings"])])


def host(root: Path) -> Tree:
    return stock_debian(root).systemd().pci("0000:01:00.0", driver="nouveau", group=1).cmdline("quiet")


@pytest.mark.parametrize(
    ("path", "text", "meant"),
    [
        ("/etc/modeprobe.d/vfio.conf", "blacklist nouveau\n", "/etc/modprobe.d"),
        ("/etc/modprobe.conf.d/vfio.conf", "blacklist nouveau\n", "/etc/modprobe.d"),
        ("/etc/modprobe.conf", "options vfio-pci ids=10de:1db1\n", "/etc/modprobe.d"),
        ("/etc/modules-load/vfio.conf", "vfio-pci\n", "/etc/modules-load.d"),
        ("/etc/module-load.d/vfio.conf", "vfio-pci\n", "/etc/modules-load.d"),
        ("/etc/udev/rules/90-gpu.rules", RULE, "/etc/udev/rules.d"),
        ("/etc/udev/rule.d/90-gpu.rules", RULE, "/etc/udev/rules.d"),
        ("/etc/drivectl.d/pci-0000:01:00.0", "vfio-pci\n", "/etc/driverctl.d"),
    ],
)
def test_a_file_in_a_misspelt_directory_is_named(path: str, text: str, meant: str, tmp_path: Path) -> None:
    assert f"{path}: nothing reads it, because it is not in {meant}. Move it there." in told(host(tmp_path).file(path, text))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/modprobe.d.bak/vfio.conf", "blacklist nouveau\n"),
        ("/etc/modules", "# a list\n"),
        ("/etc/modulefiles/x", "blacklist nouveau\n"),
        ("/etc/udev/udev.conf", "udev_log=info\n"),
        ("/etc/udev/hwdb.d/90.hwdb", "evdev:*\n"),
        ("/etc/modules-load/other.conf", "loop\n"),
        ("/etc/udev/rules/50-usb.rules", USB),
        ("/etc/udev/rules.d/50-usb.conf", USB),
        ("/etc/udev/rules.d/50-usb.rules.bak", USB),
        ("/etc/udev/rules.d/README", RULE),
    ],
)
def test_other_files_of_such_names_are_left_alone(path: str, text: str, tmp_path: Path) -> None:
    assert path not in told(host(tmp_path).file(path, text))


@pytest.mark.parametrize(
    ("name", "meant"),
    [("90-gpu", "90-gpu.rules"), ("90-gpu.rules.conf", "90-gpu.rules"), ("90-gpu.conf", "90-gpu.rules"), ("90-gpu.rule", "90-gpu.rules")],
)
def test_rules_in_a_file_without_their_suffix_are_named(name: str, meant: str, tmp_path: Path) -> None:
    said = told(host(tmp_path).file(f"/etc/udev/rules.d/{name}", RULE))
    assert f"/etc/udev/rules.d/{name}: udev does not read it" in said
    assert f"Rename it to /etc/udev/rules.d/{meant}, or remove it." in said


def test_a_huge_file_and_a_pipe_are_not_read(tmp_path: Path) -> None:
    tree = host(tmp_path).file("/etc/udev/rules.d/90-big.conf", RULE * 20000).directory("/etc/modeprobe.d")

    os.mkfifo(tree.place("/etc/modeprobe.d/vfio.conf"))
    os.mkfifo(tree.place("/etc/udev/rules.d/91-pipe.conf"))
    assert "90-big" not in told(tree)

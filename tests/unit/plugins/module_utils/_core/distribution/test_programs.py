# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that rebuilds images is the one of the program that builds them on this host."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.programs import rebuilding, unfit_program
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path


def host_with(root: Path, *commands: str, os_release: str = "") -> Tree:
    tree = Tree(root).file("/etc/os-release", os_release)
    for command in commands:
        tree.file(f"/usr/bin/{command}", "#!/bin/sh\n", 0o755)
    return tree


@pytest.mark.parametrize(
    ("os_release", "commands", "named"),
    [
        ("ID=debian\n", ("mkinitramfs", "update-initramfs"), "`update-initramfs -u -k 6.1`"),
        ("ID=fedora\n", ("dracut",), "`dracut --force /boot/i 6.1`; it includes files of /etc with hostonly=yes"),
        ("ID=arch\n", ("mkinitcpio",), "`mkinitcpio -P`"),
        ("ID=arch\n", ("booster",), "`/usr/lib/booster/regenerate_images`"),
        ("ID=endeavouros\nID_LIKE=arch\n", ("dracut", "reinstall-kernels"), "`reinstall-kernels`"),
        ("ID=alpine\n", ("mkinitfs",), "run `mkinitfs`"),
        ("ID=nixos\n", (), "`nixos-rebuild boot`"),
        ("ID=fedora\nVARIANT_ID=silverblue\n", ("dracut",), "`rpm-ostree initramfs-etc --track=…`"),
        ("ID=gentoo\n", ("dracut",), "`dracut --force /boot/i 6.1`"),
        ("ID=unheardof\n", (), "Rebuild that image."),
    ],
)
def test_each_host_has_its_own(tmp_path: Path, os_release: str, commands: tuple[str, ...], named: str) -> None:
    sentence = rebuilding(host_with(tmp_path, *commands, os_release=os_release).host()).format(release="6.1", image="/boot/i")
    assert named in sentence
    assert sentence.endswith(".")
    assert ("update-initramfs" in sentence) == ("update-initramfs" in commands)


def test_sdbootutil_makes_the_images_of_the_loaders_that_it_sets_up(tmp_path: Path) -> None:
    tree = host_with(tmp_path, "dracut", "sdbootutil", os_release="ID=opensuse-tumbleweed\n")
    assert "dracut" in rebuilding(tree.host())
    tree.file("/etc/sysconfig/bootloader", 'LOADER_TYPE="systemd-boot"\n')
    assert rebuilding(tree.host()) == "Run `sdbootutil mkinitrd`."


def test_a_program_whose_images_take_no_policy_is_known_unless_another_is_there(tmp_path: Path) -> None:
    tree = host_with(tmp_path, "booster")
    found = unfit_program(tree.host())
    assert found is not None
    assert found.name == "booster"
    assert unfit_program(host_with(tmp_path, "dracut").host()) is None

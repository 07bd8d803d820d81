# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Distributions with a way of their own are recognised, and that way is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.distribution import FAMILIES, OTHER, family, refusal
from ansible_collections.vfio.variants.tests.unit.trees import Tree


@pytest.mark.parametrize(
    ("os_release", "files", "named"),
    [
        ("ID=fedora\nVARIANT_ID=silverblue\n", (), "rpm-ostree kargs"),
        ("ID=fedora\n", ("/run/ostree-booted",), "rpm-ostree kargs"),
        ("ID=debian\n", ("/ostree/repo/config",), "rpm-ostree kargs"),
        ('ID="rhcos"\nID_LIKE="rhel fedora"\n', (), "rpm-ostree kargs"),
        ("ID=nixos\n", (), "boot.kernelParams"),
        ("ID=talos\n", (), "machine.install.extraKernelArgs"),
        ("ID=flatcar\nID_LIKE=coreos\n", (), "linux_append"),
        ("ID=alpine\n", (), "default_kernel_opts"),
        ("ID=postmarketos\nID_LIKE=alpine\n", (), "default_kernel_opts"),
        ("ID=slackware\n", ("/boot/config/vfio-pci.cfg",), "Syslinux Configuration"),
        ('ID="opensuse-microos"\nID_LIKE="suse opensuse"\n', (), "transactional-update"),
        ('ID="sle-micro"\nID_LIKE="suse"\n', (), "transactional-update"),
        ("ID=ubuntu-core\n", (), "snap set system"),
    ],
)
def test_a_host_with_a_way_of_its_own_is_refused(tmp_path: Path, os_release: str, files: tuple[str, ...], named: str) -> None:
    tree = Tree(tmp_path).file("/etc/os-release", os_release)
    for path in files:
        tree.file(path)

    sentence = refusal(tree.host())

    assert sentence is not None
    assert named in sentence
    assert sentence.endswith(".")


def test_a_read_only_root_with_transactional_update_is_refused(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/os-release", "ID=opensuse-tumbleweed\n").file("/usr/sbin/transactional-update", "#!/bin/sh\n", 0o755)
    assert refusal(tree.file("/etc/fstab", "UUID=1 / btrfs rw 0 0\n").host()) is None

    sentence = refusal(tree.file("/etc/fstab", "UUID=1 / btrfs ro 0 0\n").host())

    assert sentence is not None
    assert "/etc/fstab" in sentence


@pytest.mark.parametrize(
    ("os_release", "name"),
    [
        ("ID=debian\n", "Debian"),
        ("ID=ubuntu\nID_LIKE=debian\n", "Debian"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "RHEL and Fedora"),
        ('ID="ol"\nID_LIKE="fedora"\n', "RHEL and Fedora"),
        ("ID=azurelinux\n", "RHEL and Fedora"),
        ('ID="openEuler"\n', "RHEL and Fedora"),
        ('ID="sles"\nID_LIKE="suse"\n', "SUSE"),
        ("ID=endeavouros\nID_LIKE=arch\n", "Arch"),
        ('ID=nobara\nID_LIKE="rhel centos fedora"\n', "RHEL and Fedora"),
    ],
)
def test_a_distribution_belongs_to_the_family_of_its_id_or_of_what_it_is_like(tmp_path: Path, os_release: str, name: str) -> None:
    host = Tree(tmp_path).file("/usr/lib/os-release", os_release).host()

    assert family(host).name == name
    assert family(host) in FAMILIES
    assert refusal(host) is None


@pytest.mark.parametrize("os_release", ["ID=gentoo\n", "ID=void\n", ""])
def test_an_unknown_distribution_is_not_refused_by_its_name_alone(tmp_path: Path, os_release: str) -> None:
    host = Tree(tmp_path).file("/etc/os-release", os_release).host()

    assert family(host) is OTHER
    assert refusal(host) is None

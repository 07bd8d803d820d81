# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build needs, named by the package that each distribution brings it in."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.build_requirements import (
    headers_package,
    kernel_config,
    missing_for_build,
    missing_for_change,
    missing_for_kernel,
)
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, Tree


def headers(tree: Tree, config: str, release: str = DEBIAN_12) -> Tree:
    return tree.kernel(release, headers=True).file(f"/usr/src/linux-headers-{release}/include/config/auto.conf", config)


@pytest.mark.parametrize(
    ("os_release", "release", "package"),
    [
        ("ID=debian", "6.1.0-50-amd64", "linux-headers-6.1.0-50-amd64"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"', "6.8.0-60-generic", "linux-headers-6.8.0-60-generic"),
        ("ID=debian", "6.8.12-4-pve", "proxmox-headers-6.8.12-4-pve"),
        ("ID=fedora", "6.11.4-301.fc41.x86_64", "kernel-devel-6.11.4-301.fc41.x86_64"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"', "5.14.0-503.el9.x86_64", "kernel-devel-5.14.0-503.el9.x86_64"),
        ('ID="sles"\nID_LIKE="suse"', "6.4.0-150600.21-default", "kernel-default-devel = 6.4.0-150600.21"),
        ("ID=arch", "6.12.1-arch1-1", "linux-headers"),
        ("", "6.1", "linux-headers-6.1"),
    ],
)
def test_headers_are_called_as_the_distribution_calls_them(tmp_path: Path, os_release: str, release: str, package: str) -> None:
    assert headers_package(Tree(tmp_path).file("/etc/os-release", os_release).host(), release) == package


def test_arch_names_headers_after_the_kernels_package(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/os-release", "ID=arch").file("/lib/modules/6.6.1-lts/pkgbase", "linux-lts\n")
    assert headers_package(tree.host(), "6.6.1-lts") == "linux-lts-headers"


def test_headers_whose_link_leads_nowhere_are_missing(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_12).link(f"/lib/modules/{DEBIAN_12}/build", "/usr/src/gone")
    assert [found.package for found in missing_for_kernel(tree.host(), DEBIAN_12)] == [f"linux-headers-{DEBIAN_12}"]


@pytest.mark.parametrize(
    ("config", "what", "package"),
    [
        ('CONFIG_CC_VERSION_TEXT="gcc-12 (Debian 12.2.0) 12.2.0"\n', "gcc-12", "gcc-12"),
        ("CONFIG_CC_VERSION_TEXT=x86_64-linux-gnu-gcc-14 (Debian 14.2.0) 14.2.0\n", "x86_64-linux-gnu-gcc-14", "gcc-14"),
        ('CONFIG_CC_VERSION_TEXT="Debian clang version 19"\nCONFIG_CC_IS_CLANG=y\n', "clang", "clang"),
        ("", "gcc", "gcc"),
    ],
)
def test_the_compiler_that_the_kernel_was_built_with_is_wanted(tmp_path: Path, config: str, what: str, package: str) -> None:
    tree = headers(Tree(tmp_path), config).file("/etc/os-release", "ID=debian")
    missing = missing_for_kernel(tree.host(), DEBIAN_12)
    assert [(found.what, found.package) for found in missing] == [(f"{what}, the compiler of kernel {DEBIAN_12}", package)]
    tree.file(f"/usr/bin/{what}", mode=0o755)
    assert missing_for_kernel(tree.host(), DEBIAN_12) == ()


def test_dkms_and_make_are_wanted(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    assert [found.package for found in (*missing_for_change(tree.host()), *missing_for_build(tree.host()))] == ["dkms", "make"]
    tree.file("/usr/sbin/dkms", mode=0o755).file("/usr/bin/make", mode=0o755)
    assert (*missing_for_change(tree.host()), *missing_for_build(tree.host())) == ()


def test_a_kernel_without_headers_still_shows_its_configuration(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_12)
    assert kernel_config(tree.host(), DEBIAN_12) is None
    tree.file(f"/boot/config-{DEBIAN_12}", "CONFIG_PCI=y\n")
    assert kernel_config(tree.host(), DEBIAN_12) == "CONFIG_PCI=y"

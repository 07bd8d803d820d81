# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build needs, named by the package that each distribution brings it in."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.build_requirements import (
    kernel_config,
    missing_for_build,
    missing_for_change,
    missing_for_kernel,
)
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, Tree


def headers(tree: Tree, config: str, release: str = DEBIAN_12) -> Tree:
    return tree.kernel(release, headers=True).file(f"/usr/src/linux-headers-{release}/include/config/auto.conf", config)


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

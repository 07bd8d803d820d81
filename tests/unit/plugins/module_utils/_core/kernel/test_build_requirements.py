# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build needs, named by the package that each distribution brings it in."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.build_requirements import (
    compiler_folder,
    kernel_config,
    missing_for_build,
    missing_for_change,
    missing_for_kernel,
)
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, Tree


def headers(tree: Tree, config: str, release: str = DEBIAN_12) -> Tree:
    return tree.kernel(release, headers=True).file(f"/usr/src/linux-headers-{release}/include/config/auto.conf", config)


def test_headers_whose_link_leads_nowhere_are_missing(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_12).link(f"/lib/modules/{DEBIAN_12}/build", "/usr/src/gone").file("/etc/os-release", "ID=debian")
    assert [found.package for found in missing_for_kernel(tree.host(), DEBIAN_12)] == [f"linux-headers-{DEBIAN_12}"]


@pytest.mark.parametrize(
    ("config", "what", "package"),
    [
        ('CONFIG_CC_VERSION_TEXT="gcc-12 (Debian 12.2.0) 12.2.0"\n', "gcc-12", "gcc-12"),
        ("CONFIG_CC_VERSION_TEXT=x86_64-linux-gnu-gcc-14 (Debian 14.2.0) 14.2.0\n", "x86_64-linux-gnu-gcc-14", "gcc-14"),
        ("", "gcc", "gcc"),
    ],
)
def test_the_compiler_that_the_kernel_was_built_with_is_wanted(tmp_path: Path, config: str, what: str, package: str) -> None:
    tree = headers(Tree(tmp_path), config).file("/etc/os-release", "ID=debian")
    missing = missing_for_kernel(tree.host(), DEBIAN_12)
    assert [(found.what, found.package) for found in missing] == [(f"{what}, the compiler of kernel {DEBIAN_12}", package)]
    tree.file(f"/usr/bin/{what}", mode=0o755)
    assert missing_for_kernel(tree.host(), DEBIAN_12) == ()


CLANG = 'CONFIG_CC_VERSION_TEXT="Debian clang version 19.1.7"\nCONFIG_CC_IS_CLANG=y\nCONFIG_GCC_VERSION=0\nCONFIG_CLANG_VERSION=190107\n'
LLVM = ("clang", "ld.lld", "llvm-ar", "llvm-nm", "llvm-objcopy", "llvm-strip")


def with_programs(tree: Tree, *names: str, version: str = "19.1.7") -> Tree:
    for name in names:
        tree.file(f"/usr/bin/{name}", f'#!/bin/sh\ntest "$1" = -dumpversion && echo {version}\n', mode=0o755)
    return tree


@pytest.mark.parametrize(
    ("there", "packages"),
    [
        ((), ["clang", "lld", "llvm"]),
        (("clang",), ["lld", "llvm"]),
        (("clang", "ld.lld"), ["llvm"]),
        (("clang", "llvm-ar", "llvm-nm", "llvm-objcopy", "llvm-strip"), ["lld"]),
        (tuple(name for name in LLVM if name != "llvm-strip"), ["llvm"]),
        (LLVM, []),
    ],
)
def test_a_kernel_that_clang_has_built_takes_the_linker_and_the_programs_of_llvm_too(
    tmp_path: Path, there: tuple[str, ...], packages: list[str]
) -> None:
    tree = with_programs(headers(Tree(tmp_path), CLANG), *there)
    missing = missing_for_kernel(tree.host(Commands(tmp_path)), DEBIAN_12)
    assert [found.package for found in missing] == packages
    assert all(DEBIAN_12 in found.what for found in missing)


@pytest.mark.parametrize(
    ("os_release", "package"),
    [
        ('ID="ol"\nID_LIKE="fedora"', "gcc-toolset-14-gcc"),
        ("ID=fedora", "gcc"),
        ("ID=debian", "gcc-14"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"', "gcc14"),
        ("ID=arch", "gcc"),
    ],
)
def test_a_compiler_that_is_older_than_the_kernels_is_named_with_the_package_of_the_right_one(
    tmp_path: Path, os_release: str, package: str
) -> None:
    config = 'CONFIG_CC_VERSION_TEXT="gcc (GCC) 14.2.1 20250110 (Red Hat 14.2.1-7)"\nCONFIG_GCC_VERSION=140201\nCONFIG_CLANG_VERSION=0\n'
    tree = with_programs(headers(Tree(tmp_path), config), "gcc", version="11").file("/etc/os-release", os_release)
    host = tree.host(Commands(tmp_path))
    (missing,) = missing_for_kernel(host, DEBIAN_12)
    assert missing.package == package
    assert missing.what == f"gcc 14, the compiler of kernel {DEBIAN_12} (gcc is version 11 here, which may lack options)"
    assert compiler_folder(host, DEBIAN_12) is None


@pytest.mark.parametrize("there", [("gcc",), ()])
def test_a_toolset_with_the_kernels_compiler_is_used(tmp_path: Path, there: tuple[str, ...]) -> None:
    config = 'CONFIG_CC_VERSION_TEXT="gcc (GCC) 14.2.1"\nCONFIG_GCC_VERSION=140201\n'
    tree = with_programs(headers(Tree(tmp_path), config), *there, version="11.5.0")
    tree.file("/opt/rh/gcc-toolset-14/root/usr/bin/gcc", mode=0o755)
    host = tree.host(Commands(tmp_path))
    assert missing_for_kernel(host, DEBIAN_12) == ()
    assert compiler_folder(host, DEBIAN_12) == "/opt/rh/gcc-toolset-14/root/usr/bin"


@pytest.mark.parametrize("version", ["14", "14.1.0", "15.2.1", "not a number", "clang"])
def test_a_compiler_that_is_not_known_to_be_older_will_do(tmp_path: Path, version: str) -> None:
    config = 'CONFIG_CC_VERSION_TEXT="gcc (GCC) 14.2.1"\nCONFIG_GCC_VERSION=140201\n'
    tree = with_programs(headers(Tree(tmp_path), config), "gcc", version=f"'{version}'")
    assert missing_for_kernel(tree.host(Commands(tmp_path)), DEBIAN_12) == ()
    # A host whose programs cannot be run is one of which it is not known.
    assert missing_for_kernel(tree.host(), DEBIAN_12) == ()


def test_an_older_clang_is_not_the_kernels_clang(tmp_path: Path) -> None:
    tree = with_programs(headers(Tree(tmp_path), CLANG), *LLVM, version="14.0.6")
    (missing,) = missing_for_kernel(tree.host(Commands(tmp_path)), DEBIAN_12)
    assert (missing.package, missing.what.partition(",")[0]) == ("clang", "clang 19")


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


def test_the_running_kernel_may_have_its_configuration_itself_as_on_arch(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_12, running=True).kernel(DEBIAN_13)
    tree.file("/proc/config.gz", gzip.compress(b"CONFIG_IKCONFIG_PROC=y\nCONFIG_INTEL_IOMMU_DEFAULT_ON=y\n"))
    assert kernel_config(tree.host(), DEBIAN_12) == "CONFIG_IKCONFIG_PROC=y\nCONFIG_INTEL_IOMMU_DEFAULT_ON=y"
    assert kernel_config(tree.host(), DEBIAN_13) is None
    tree.file(f"/boot/config-{DEBIAN_12}", "CONFIG_PCI=y\n")
    assert kernel_config(tree.host(), DEBIAN_12) == "CONFIG_PCI=y"


@pytest.mark.parametrize("content", [b"", gzip.compress(b"CONFIG_PCI=y\n", mtime=0)[:-6], b"\x1f\x8b\x08broken"])
def test_a_configuration_that_cannot_be_unpacked_is_none(tmp_path: Path, content: bytes) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_12, running=True).file("/proc/config.gz", content)
    assert kernel_config(tree.host(), DEBIAN_12) is None

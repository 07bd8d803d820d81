# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From which source a kernel was built, and where sources of kernels are on a host."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.kernel_identity import KernelIdentity, SourcePlace, source_places
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.dkms.kernel_sources import generated
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, Tree

GENERATED = f"/usr/src/linux-headers-{DEBIAN_12}/include/generated"


def with_headers(root: Path, files: dict[str, str]) -> Tree:
    tree = Tree(root).kernel(DEBIAN_12, headers=True)
    for name, text in files.items():
        tree.file(f"{GENERATED}/{name}", text)
    return tree


def test_the_headers_say_the_version_that_debians_release_does_not_tell(tmp_path: Path) -> None:
    tree = with_headers(tmp_path, generated("6.1.176", "6.1.176-1"))
    assert KernelIdentity.read(tree.host(), DEBIAN_12) == KernelIdentity(DEBIAN_12, "6.1.176", "6.1.176-1")


@pytest.mark.parametrize(("version", "code"), [("6.12.117", 396405), ("6.8.12", 395276)])
def test_older_headers_have_only_the_number(tmp_path: Path, version: str, code: int) -> None:
    tree = with_headers(tmp_path, {"uapi/linux/version.h": f"#define LINUX_VERSION_CODE {code}\n"})
    assert KernelIdentity.read(tree.host(), DEBIAN_12).version == version


def test_a_number_that_is_cut_off_says_nothing(tmp_path: Path) -> None:
    # KERNEL_VERSION() has 255 for every SUBLEVEL from there on.
    tree = with_headers(tmp_path, {"uapi/linux/version.h": f"#define LINUX_VERSION_CODE {(4 << 16) + (14 << 8) + 255}\n"})
    assert KernelIdentity.read(tree.host(), DEBIAN_12).version is None


def test_without_headers_the_first_lines_of_the_configuration_say_it(tmp_path: Path) -> None:
    head = "#\n# Automatically generated file; DO NOT EDIT.\n# Linux/x86 6.1.176 Kernel Configuration\n#\n"
    tree = Tree(tmp_path).kernel(DEBIAN_12).file(f"/boot/config-{DEBIAN_12}", head)
    assert KernelIdentity.read(tree.host(), DEBIAN_12).version == "6.1.176"
    assert KernelIdentity.read(Tree(tmp_path / "none").kernel(DEBIAN_12).host(), DEBIAN_12).version is None


@pytest.mark.parametrize(
    ("system", "package"),
    [("debian", "linux-source-6.1 (= 6.1.176-1)"), ("ubuntu", "linux-source-6.1.0"), ("opensuse", "kernel-source"), ("fedora", None)],
)
def test_the_package_with_the_source_is_named_as_the_distribution_names_it(tmp_path: Path, system: str, package: str | None) -> None:
    host = Tree(tmp_path).file("/etc/os-release", f"ID={system}\n").host()
    assert KernelIdentity(DEBIAN_12, "6.1.176", "6.1.176-1").source_package(host) == package


def test_folders_and_archives_of_usr_src_are_found_with_the_version_of_their_package(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/usr/src/linux-source-6.12.tar.xz", "").file("/usr/src/linux-config-6.12/config.xz", "")
    tree.file("/usr/src/linux-source-6.8.0/linux-source-6.8.0.tar.bz2", "").file("/usr/src/linux/drivers/vfio/pci/Makefile", "")
    tree.file("/usr/src/linux-headers-6.1/Makefile", "").file("/usr/src/other.tar.xz", "")
    tree.file(
        "/var/lib/dpkg/status",
        "Package: linux-source-6.12\nStatus: x\nVersion: 6.12.117-1\n\nPackage: linux-source-6.8.0\nVersion: 6.8.0-60.63\n",
    )
    assert source_places(tree.host()) == (
        SourcePlace("/usr/src/linux"),
        SourcePlace("/usr/src/linux-source-6.12.tar.xz", "6.12.117-1"),
        SourcePlace("/usr/src/linux-source-6.8.0/linux-source-6.8.0.tar.bz2", "6.8.0-60.63"),
    )


def test_an_archive_whose_name_is_of_another_series_is_not_read() -> None:
    kernel = KernelIdentity(DEBIAN_12, "6.1.176", None)
    names = ("linux-source-6.1.tar.xz", "linux-source-6.12.tar.xz", "linux-source-6.1.0.tar.bz2", "linux.tar.xz")
    assert [SourcePlace(f"/usr/src/{name}").may_be_of(kernel) for name in names] == [True, False, True, True]

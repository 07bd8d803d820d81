# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From which source a kernel was built, and where sources of kernels are on a host."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.kernel_identity import KernelIdentity, SourcePlace, source_places
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.dkms.kernel_sources import generated
from ansible_collections.vfio.variants.tests.unit.rpm_packages import path_of
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
    ("release", "package", "head", "version"),
    [
        ("7.3-rc4-amd64", None, "", "7.3.0-rc4"),
        ("7.3.0-0.rc4.20.fc45.x86_64", None, "", "7.3.0-rc4"),
        ("7.3-amd64", "7.3~rc4-1~exp1", "", "7.3.0-rc4"),
        ("7.3.0-3-generic", None, "-rc4", "7.3.0-rc4"),
        ("7.3.0-3-generic", "7.3.0-3.3", "", "7.3.0"),
        ("7.3.0-arch1-1", None, "-arch1", "7.3.0"),
        ("7.3.0-src4-1", None, "", "7.3.0"),
    ],
)
def test_a_candidate_of_a_release_is_another_version(tmp_path: Path, release: str, package: str | None, head: str, version: str) -> None:
    tree = Tree(tmp_path).kernel(release, headers=True)
    for name, text in generated("7.3.0", package).items():
        tree.file(f"/usr/src/linux-headers-{release}/include/generated/{name}", text)
    tree.file(f"/boot/config-{release}", f"#\n# Linux/x86 7.3.0{head} Kernel Configuration\n#\n")
    assert KernelIdentity.read(tree.host(), release).version == version


UBUNTU = "6.8.0-45-generic"
HWE = "6.11.0-17-generic"
AWS = "6.8.0-1021-aws"
# The fields of /var/lib/dpkg/status that Ubuntu's packages have there; what comes of them, and how the source comes to the host.
PACKAGES = {
    "headers": (UBUNTU, "linux-headers-6.8.0-45-generic", "linux", "6.8.0-45.45", "install linux-source-6.8.0 (= 6.8.0-45.45)"),
    "modules": (UBUNTU, "linux-modules-6.8.0-45-generic", "linux", "6.8.0-45.45", "install linux-source-6.8.0 (= 6.8.0-45.45)"),
    "for newer hardware": (
        *(HWE, "linux-headers-6.11.0-17-generic", "linux-hwe-6.11", "6.11.0-17.17~24.04.2"),
        "install linux-hwe-6.11-source-6.11.0 (= 6.11.0-17.17~24.04.2)",
    ),
    "for a cloud": (
        AWS,
        "linux-headers-6.8.0-1021-aws",
        "linux-aws",
        "6.8.0-1021.23",
        "run `apt-get source linux-aws=6.8.0-1021.23` in /usr/src",
    ),
}


@pytest.mark.parametrize("case", PACKAGES)
def test_of_ubuntus_kernels_dpkg_knows_the_package(tmp_path: Path, case: str) -> None:
    release, name, source, version, advice = PACKAGES[case]
    tree = Tree(tmp_path).file("/etc/os-release", "ID=ubuntu\nID_LIKE=debian\n").kernel(release, headers=True)
    for path, text in generated(f"{release.split('-')[0][:-2]}.12").items():
        tree.file(f"/usr/src/linux-headers-{release}/include/generated/{path}", text)
    tree.file("/var/lib/dpkg/status", f"Package: x\nVersion: 1\n\nPackage: {name}\nSource: {source}\nVersion: {version}\n\nPackage: z\n")
    kernel = KernelIdentity.read(tree.host(), release)
    assert (kernel.package, kernel.built_from) == (version, source)
    assert kernel.source_advice(tree.host()) == advice


@pytest.mark.parametrize(
    ("release", "version"), [("6.8.0-45-generic", "6.8.0-47.47"), ("6.1.0-50-amd64", "6.1.176-1"), ("6.12.1-mine", "6.12.1-3")]
)
def test_a_version_that_the_release_does_not_tell_is_not_the_kernels(tmp_path: Path, release: str, version: str) -> None:
    tree = Tree(tmp_path).kernel(release)
    tree.file("/var/lib/dpkg/status", f"Package: linux-headers-{release}\nSource: linux\nVersion: {version}\n")
    assert KernelIdentity.read(tree.host(), release).package is None


RHEL, SUSE = "5.14.0-427.13.1.el9_4.x86_64", "6.4.0-150600.23.7-default"
OF_RHEL = "`dnf download --source kernel-5.14.0-427.13.1.el9_4.x86_64` in /usr/src"
RELEASES = {
    "RHEL": ("5.14.0-427.13.1.el9_4", RHEL),
    "RHEL, large pages": ("5.14.0-427.13.1.el9_4", "5.14.0-427.13.1.el9_4.aarch64+64k"),
    "RHEL, for debugging": ("5.14.0-427.13.1.el9_4", "5.14.0-427.13.1.el9_4.x86_64+rt-debug"),
    "RHEL, as rpmbuild unpacks it": ("5.14.0-427.13.1.el9_4.x86_64", RHEL),
    "Oracle, for debugging": ("5.15.0-200.131.27.el9uek", "5.15.0-200.131.27.el9uek.x86_64.debug"),
    "SUSE": ("6.4.0-150600.23.7", SUSE),
    "SUSE, large pages": ("6.4.0-150600.23.7", "6.4.0-150600.23.7-64kb"),
    "SUSE, of a flavour with its own source": ("6.4.0-150600.8.3-rt", "6.4.0-150600.8.3-rt"),
    "Tumbleweed": ("6.11.8-1", "6.11.8-1-default"),
    "Amazon": ("6.1.112-122.189.amzn2023", "6.1.112-122.189.amzn2023.aarch64"),
}
OTHERS = {
    "of another update": ("5.14.0-427.13.1.el9_4", "5.14.0-427.16.1.el9_4.x86_64"),
    "which the release goes on from": ("6.4.0-150600.23", SUSE),
    "which a number goes on from": ("6.4.0-150600.23.7", "6.4.0-150600.23.71-default"),
    "which a number follows": ("6.11.8-1", "6.11.8-1-1"),
    "of RHEL's before an update": ("5.14.0-427", "5.14.0-427.13.1.el9_4.x86_64"),
    "without SUSE's patches": ("6.4.0-150600.23.7-vanilla", SUSE),
    "with the count of builds": ("6.4.0-150600.23.7.3", SUSE),
}


@pytest.mark.parametrize(
    ("system", "release", "advice"),
    [
        ("debian", DEBIAN_12, "install linux-source-6.1 (= 6.1.176-1)"),
        ("ubuntu", DEBIAN_12, "install linux-source-6.1.0"),
        ("opensuse-leap", SUSE, "install kernel-source = 6.4.0-150600.23.7"),
        ("sles", "6.4.0-150600.8.3-rt", "install kernel-source-rt = 6.4.0-150600.8.3"),
        ("sles", "6.4.0", "install kernel-source"),
        ("rhel", RHEL, f"run {OF_RHEL}"),
        ("rhel", "5.14.0-427.13.1.el9_4.x86_64+rt", f"run {OF_RHEL.replace('kernel-', 'kernel-rt-', 1)}"),
        ("ol", "5.15.0-200.131.27.el9uek.x86_64", "run `dnf download --source kernel-uek-5.15.0-200.131.27.el9uek.x86_64` in /usr/src"),
        ("amzn", "6.12.1-1.amzn2023.x86_64", "run `dnf download --source kernel6.12-6.12.1-1.amzn2023.x86_64` in /usr/src"),
        ("almalinux", "6.9.1-1.el9.elrepo.x86_64", None),
        ("arch", "6.12.1-arch1-1", None),
    ],
)
def test_how_the_source_comes_to_the_host_is_said_as_the_distribution_does_it(
    tmp_path: Path, system: str, release: str, advice: str | None
) -> None:
    host = Tree(tmp_path).file("/etc/os-release", f"ID={system}\n").host()
    assert KernelIdentity(release, "6.1.176", "6.1.176-1").source_advice(host) == advice


@pytest.mark.parametrize(("stated", "release"), RELEASES.values(), ids=RELEASES)
def test_a_kernel_is_of_the_source_package_of_its_version_and_release(stated: str, release: str) -> None:
    assert KernelIdentity(release, None, None).is_of(stated)


@pytest.mark.parametrize(("stated", "release"), OTHERS.values(), ids=OTHERS)
def test_a_kernel_is_not_of_a_source_package(stated: str, release: str) -> None:
    assert not KernelIdentity(release, None, None).is_of(stated)


@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("linux-6.4.0-150600.23.7", ("6.4.0-150600.23.7",)),
        ("linux-6.4.0-150600.8.3-rt", ("6.4.0-150600.8.3-rt",)),
        ("linux-6.4.0-150600.23.7-vanilla", ("6.4.0-150600.23.7-vanilla",)),
        ("linux-5.14.0-427.13.1.el9_4.x86_64", ("5.14.0-427.13.1.el9_4.x86_64",)),
        ("linux-5.14.0-427.13.1.el9_4.tar.xz", ("5.14.0-427.13.1.el9_4",)),
        ("linux-6.12.117", ()),
        ("linux-6.12", ()),
        ("linux-6.13-rc1", ()),
        ("linux-6.12.58-gentoo-r1", ()),
        ("linux-source-6.12.tar.xz", ()),
        ("linux-headers-6.12.117-1", ()),
    ],
)
def test_the_name_of_a_folder_or_archive_may_state_the_release_of_its_package(tmp_path: Path, name: str, stated: tuple[str, ...]) -> None:
    assert SourcePlace.read(Tree(tmp_path).file(f"/srv/{name}/Makefile", "").host(), f"/srv/{name}/").stated == stated


def test_a_link_to_such_a_folder_states_it_too(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/usr/src/linux-6.4.0-150600.23.7/drivers/vfio/pci/Makefile", "")
    tree.link("/usr/src/linux", "linux-6.4.0-150600.23.7")
    places = source_places(tree.host())
    assert [(place.path, place.stated) for place in places] == [
        ("/usr/src/linux", ("6.4.0-150600.23.7",)),
        ("/usr/src/linux-6.4.0-150600.23.7", ("6.4.0-150600.23.7",)),
    ]
    assert [place.may_be_of(KernelIdentity(SUSE, "6.4.0", None)) for place in places] == [True, True]
    assert not any(place.may_be_of(KernelIdentity("6.4.0-150600.21-default", "6.4.0", None)) for place in places)


def test_packages_of_sources_in_usr_src_state_it_in_their_header_whatever_they_are_called(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    for number, kind in enumerate(("RHEL", "SUSE")):
        tree.file(f"/usr/src/kernel{number}.src.rpm", path_of(kind).read_bytes())
    assert source_places(tree.host()) == (
        SourcePlace("/usr/src/kernel0.src.rpm", None, ("6.12.107-55.9.1.el10_0",)),
        # SUSE's kernel is 6.12.107-160000.5-default: the last number counts builds.
        SourcePlace("/usr/src/kernel1.src.rpm", None, ("6.12.107-160000.5.1", "6.12.107-160000.5")),
    )


def test_folders_and_archives_of_usr_src_are_found_with_the_version_of_their_package(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/usr/src/linux-source-6.12.tar.xz", "").file("/usr/src/linux-config-6.12/config.xz", "")
    tree.file("/usr/src/linux-source-6.8.0/linux-source-6.8.0.tar.bz2", "").file("/usr/src/linux/drivers/vfio/pci/Makefile", "")
    tree.file("/usr/src/linux-hwe-6.11-source-6.11.0/linux-hwe-6.11-source-6.11.0.tar.bz2", "")
    tree.file("/usr/src/linux-headers-6.1/Makefile", "").file("/usr/src/other.tar.xz", "")
    tree.file(
        "/var/lib/dpkg/status",
        "Package: linux-source-6.12\nStatus: x\nVersion: 6.12.117-1\n\nPackage: linux-source-6.8.0\nVersion: 6.8.0-60.63\n"
        "\nPackage: linux-hwe-6.11-source-6.11.0\nVersion: 6.11.0-17.17~24.04.2\n",
    )
    assert source_places(tree.host()) == (
        SourcePlace("/usr/src/linux"),
        SourcePlace("/usr/src/linux-hwe-6.11-source-6.11.0/linux-hwe-6.11-source-6.11.0.tar.bz2", "6.11.0-17.17~24.04.2"),
        SourcePlace("/usr/src/linux-source-6.12.tar.xz", "6.12.117-1"),
        SourcePlace("/usr/src/linux-source-6.8.0/linux-source-6.8.0.tar.bz2", "6.8.0-60.63"),
    )


def test_an_archive_whose_name_is_of_another_series_is_not_read() -> None:
    kernel = KernelIdentity(DEBIAN_12, "6.1.176", None)
    names = ("linux-source-6.1.tar.xz", "linux-source-6.12.tar.xz", "linux-source-6.1.0.tar.bz2", "linux.tar.xz")
    assert [SourcePlace(f"/usr/src/{name}").may_be_of(kernel) for name in names] == [True, False, True, True]
    assert not SourcePlace("/usr/src/linux-hwe-6.11-source-6.11.0.tar.bz2").may_be_of(kernel)

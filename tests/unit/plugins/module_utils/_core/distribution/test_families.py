# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host belongs to the family of its ID, or else of what it is like; its kernels' headers are called as that family calls them."""

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.families import (
    DKMS_FOLDERS,
    DKMS_SETTINGS,
    FAMILIES,
    OTHER,
    dkms_folder,
    family,
    headers_package,
)
from ansible_collections.vfio.variants.tests.unit.sources import PROGRAMS
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

RHEL, ROCKY, OL = "ID=rhel\nID_LIKE=fedora", 'ID="rocky"\nID_LIKE="rhel centos fedora"', 'ID="ol"\nID_LIKE="fedora"'
ALMA, FEDORA, AMAZON = 'ID="almalinux"\nID_LIKE="rhel centos fedora"', "ID=fedora", 'ID="amzn"\nID_LIKE="fedora"'
UBUNTU, PROXMOX, ARCH = "ID=ubuntu\nID_LIKE=debian", "ID=debian", "ID=arch"


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
        ('ID=somebodys\nID_LIKE="rhel centos fedora"\n', "RHEL and Fedora"),
        ("ID=gentoo\n", "Gentoo"),
    ],
)
def test_a_distribution_belongs_to_the_family_of_its_id_or_of_what_it_is_like(tmp_path: Path, os_release: str, name: str) -> None:
    host = Tree(tmp_path).file("/usr/lib/os-release", os_release).host()

    assert family(host).name == name
    assert family(host) in FAMILIES


@pytest.mark.parametrize("os_release", ["ID=unheardof\n", ""])
def test_an_unknown_distribution_belongs_to_none(tmp_path: Path, os_release: str) -> None:
    assert family(Tree(tmp_path).file("/etc/os-release", os_release).host()) is OTHER


@pytest.mark.parametrize(
    ("os_release", "release", "package"),
    [
        (RHEL, "5.14.0-503.11.1.el9_5.x86_64", "kernel-devel-5.14.0-503.11.1.el9_5.x86_64"),
        (RHEL, "5.14.0-427.13.1.el9_4.aarch64+64k", "kernel-64k-devel-5.14.0-427.13.1.el9_4.aarch64"),
        (RHEL, "5.14.0-427.13.1.el9_4.x86_64+rt", "kernel-rt-devel-5.14.0-427.13.1.el9_4.x86_64"),
        (RHEL, "5.14.0-427.13.1.el9_4.x86_64+rt-debug", "kernel-rt-debug-devel-5.14.0-427.13.1.el9_4.x86_64"),
        (RHEL, "5.14.0-427.13.1.el9_4.x86_64+debug", "kernel-debug-devel-5.14.0-427.13.1.el9_4.x86_64"),
        (RHEL, "4.18.0-553.rt7.342.el8_10.x86_64", "kernel-rt-devel-4.18.0-553.rt7.342.el8_10.x86_64"),
        (ALMA, "6.12.0-55.9.1.el10_0.x86_64", "kernel-devel-6.12.0-55.9.1.el10_0.x86_64"),
        (ROCKY, "6.12.4-1.el9.elrepo.x86_64", "kernel-devel-uname-r = 6.12.4-1.el9.elrepo.x86_64"),
        (OL, "5.14.0-503.11.1.el9_5.x86_64", "kernel-devel-5.14.0-503.11.1.el9_5.x86_64"),
        (OL, "5.15.0-205.149.5.1.el9uek.x86_64", "kernel-uek-devel-5.15.0-205.149.5.1.el9uek.x86_64"),
        (OL, "5.15.0-205.149.5.1.el9uek.x86_64.debug", "kernel-uek-debug-devel-5.15.0-205.149.5.1.el9uek.x86_64"),
        (FEDORA, "6.17.7-300.fc43.x86_64", "kernel-devel-6.17.7-300.fc43.x86_64"),
        (FEDORA, "6.17.7-400.asahi.fc43.aarch64+16k", "kernel-16k-devel-6.17.7-400.asahi.fc43.aarch64"),
        (AMAZON, "6.1.119-129.201.amzn2023.x86_64", "kernel-devel-6.1.119-129.201.amzn2023.x86_64"),
        (AMAZON, "6.12.20-23.97.amzn2023.aarch64", "kernel6.12-devel-6.12.20-23.97.amzn2023.aarch64"),
        ('ID="amzn"\nID_LIKE="centos rhel fedora"', "5.10.230-223.885.amzn2.x86_64", "kernel-devel-5.10.230-223.885.amzn2.x86_64"),
        ("ID=azurelinux", "6.6.57.1-6.azl3", "kernel-devel-6.6.57.1-6.azl3"),
        ("ID=azurelinux", "6.12.57.1-1.azl3", "kernel-hwe-devel-6.12.57.1-1.azl3"),
        ('ID="openEuler"', "5.10.0-216.0.0.115.oe2203sp4.x86_64", "kernel-devel-5.10.0-216.0.0.115.oe2203sp4.x86_64"),
        ("ID=debian", "6.12.107+deb13-cloud-amd64", "linux-headers-6.12.107+deb13-cloud-amd64"),
        (UBUNTU, "6.8.0-1020-azure", "linux-headers-6.8.0-1020-azure"),
        (UBUNTU, "6.8.0-1021-aws", "linux-headers-6.8.0-1021-aws"),
        (UBUNTU, "6.8.0-1019-gcp", "linux-headers-6.8.0-1019-gcp"),
        (UBUNTU, "6.8.0-1015-nvidia-64k", "linux-headers-6.8.0-1015-nvidia-64k"),
        (PROXMOX, "6.2.16-3-pve", "pve-headers-6.2.16-3-pve"),
        (PROXMOX, "5.15.158-2-pve", "pve-headers-5.15.158-2-pve"),
        (PROXMOX, "6.5.13-6-pve", "proxmox-headers-6.5.13-6-pve"),
        (PROXMOX, "6.14.8-2-pve", "proxmox-headers-6.14.8-2-pve"),
        ("ID=debian", "6.1.115-vendor-rk35xx", "linux-headers-vendor-rk35xx"),
        ("ID=ubuntu\nID_LIKE=debian", "6.12.58-current-rockchip64", "linux-headers-current-rockchip64"),
        ('ID="sles"\nID_LIKE="suse"', "6.4.0-150600.21-azure", "kernel-azure-devel = 6.4.0-150600.21"),
        ('ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"', "6.6.50-1-longterm", "kernel-longterm-devel = 6.6.50-1"),
        (ARCH, "6.12.1-arch1-1", "linux-headers"),
        (ARCH, "6.6.60-1-lts", "linux-lts-headers"),
        (ARCH, "6.12.1-zen1-1-zen", "linux-zen-headers"),
        (ARCH, "6.11.9-hardened1-1-hardened", "linux-hardened-headers"),
        ("ID=manjaro\nID_LIKE=arch", "6.12.4-1-MANJARO", "linux612-headers"),
        ("ID=cachyos\nID_LIKE=arch", "6.12.4-2-cachyos", "linux-cachyos-headers"),
        ("ID=alpine", "6.6.58-0-virt", "linux-virt-dev"),
        ("ID=void", "6.6.58_1", "linux6.6-headers"),
        ("ID=gentoo", "6.6.58-gentoo-dist", "sys-kernel/gentoo-kernel"),
    ],
)
def test_headers_are_called_as_the_distribution_calls_them(tmp_path: Path, os_release: str, release: str, package: str) -> None:
    assert headers_package(Tree(tmp_path).file("/etc/os-release", os_release).host(), release) == package


MAGEIA, MANDRIVA = 'ID=mageia\nID_LIKE="mandriva fedora"', "ID=openmandriva"
OPENVAS, LINUX_HARDWARE = "the package lists of greenbone's security tests", "the kernels that linuxhw's reports count"


# What a release and its package are called was read at one place each, which is named; the package's version is in the release.
@pytest.mark.parametrize(
    ("os_release", "release", "package", "source"),
    [
        (MAGEIA, "5.15.55-desktop-2.mga8", "kernel-desktop-devel-5.15.55-2.mga8", OPENVAS),
        (MAGEIA, "5.5.9-server-1.mga7", "kernel-server-devel-5.5.9-1.mga7", OPENVAS),
        (MAGEIA, "6.6.65-server-2.mga9", "kernel-server-devel-6.6.65-2.mga9", OPENVAS),
        (MAGEIA, "6.6.52-desktop-1.mga9", "kernel-desktop-devel-6.6.52-1.mga9", LINUX_HARDWARE),
        (MAGEIA, "5.15.98-desktop586-1.mga8", "kernel-desktop586-devel-5.15.98-1.mga8", OPENVAS),
        (MAGEIA, "5.15.98-1.mga8", "kernel-linus-devel-5.15.98-1.mga8", OPENVAS),
        (MAGEIA, "6.6.93-1.mga9", "kernel-linus-devel-6.6.93-1.mga9", OPENVAS),
        (MANDRIVA, "6.14.2-desktop-3omv2590", "kernel-desktop-devel", LINUX_HARDWARE),
        (MANDRIVA, "6.2.6-desktop-gcc-1omv2390", "kernel-desktop-gcc-devel", "OpenMandriva's kernel.spec"),
        (
            'ID="virtuozzo"\nID_LIKE="rhel fedora"',
            "3.10.0-1127.8.2.vz7.151.14",
            "vzkernel-devel-3.10.0-1127.8.2.vz7.151.14",
            "tests of Tenable, and guides for OpenVZ 7",
        ),
        (
            FEDORA,
            "6.18.8-1.surface.fc43.x86_64",
            "kernel-surface-devel-6.18.8-1.surface.fc43.x86_64",
            "linux-surface's releases",
        ),
        (
            FEDORA,
            "7.2.6-cachyos1.fc43.x86_64",
            "kernel-cachyos-devel-7.2.6-cachyos1.fc43.x86_64",
            "`rpm -qa` of a host with bieszczaders/kernel-cachyos",
        ),
        ("ID=raspbian\nID_LIKE=debian", "6.1.21-v8+", "raspberrypi-kernel-headers", "Raspberry Pi OS 11, many guides"),
        ("ID=raspbian\nID_LIKE=debian", "5.10.103-v7l+", "raspberrypi-kernel-headers", "Raspberry Pi OS 11, many guides"),
        ("ID=debian", "6.6.51+rpt-rpi-v8", "linux-headers-6.6.51+rpt-rpi-v8", "Raspberry Pi OS 12"),
        ("ID=debian", "6.12.25+rpt-rpi-2712", "linux-headers-6.12.25+rpt-rpi-2712", "Raspberry Pi OS 12"),
        (UBUNTU, "6.8.0-1018-raspi", "linux-headers-6.8.0-1018-raspi", "Ubuntu's linux-raspi"),
        (UBUNTU, "6.11.0-1012-lowlatency", "linux-headers-6.11.0-1012-lowlatency", "Ubuntu's linux-lowlatency-hwe"),
        (UBUNTU, "6.8.0-1016-oracle", "linux-headers-6.8.0-1016-oracle", "Ubuntu's linux-oracle"),
        (UBUNTU, "6.12.1-061201-generic", "linux-headers-6.12.1-061201-generic", "Ubuntu's mainline builds"),
        ("ID=debian", "6.12.6-1-liquorix-amd64", "linux-headers-6.12.6-1-liquorix-amd64", "liquorix.net"),
        ("ID=debian", "6.12.6-x64v3-xanmod1", "linux-headers-6.12.6-x64v3-xanmod1", "xanmod.org"),
        (PROXMOX, "6.17.2-1-pve", "proxmox-headers-6.17.2-1-pve", "pve-kernel's debian/control.in"),
        # The packages are one rebuild further, and provide the version without (kernel-syms.spec requires `%version-%source_rel`).
        ('ID="sles"\nID_LIKE="suse"', "6.4.0-150600.23.25-default", "kernel-default-devel = 6.4.0-150600.23.25", "SUSE's kernel-syms.spec"),
        ('ID="sles"\nID_LIKE="suse"', "6.4.0-150600.10.17-rt", "kernel-rt-devel = 6.4.0-150600.10.17", "SUSE's kernel-syms-rt.spec"),
        (
            'ID="opensuse-leap"\nID_LIKE="suse opensuse"',
            "6.4.0-150600.21-64kb",
            "kernel-64kb-devel = 6.4.0-150600.21",
            "SUSE's kernel-syms.spec",
        ),
        (
            OL,
            "6.12.0-100.28.2.el10uek.aarch64.64k",
            "kernel-uek64k-devel-6.12.0-100.28.2.el10uek.aarch64",
            "Oracle's kernel-uek.spec",
        ),
        ("ID=altlinux", "6.12.61-6.12-alt1", "kernel-headers-modules-6.12", "reports of ALT 11, and its specs"),
        ("ID=altlinux", "5.10.109-std-def-alt1", "kernel-headers-modules-std-def", f"{LINUX_HARDWARE}, and ALT's specs"),
        ("ID=altlinux", "5.4.68-std-def-alt1.1", "kernel-headers-modules-std-def", LINUX_HARDWARE),
        ("ID=altlinux", "5.15.72-un-def-alt1", "kernel-headers-modules-un-def", f"{LINUX_HARDWARE}, and ALT's specs"),
        ("ID=altlinux", "6.12.77-6.12-alt1.forge.rv64", "kernel-headers-modules-6.12", "an extlinux.conf of ALT on RISC-V"),
        ("ID=manjaro\nID_LIKE=arch", "6.6.93-1-rt55-MANJARO", "linux66-rt-headers", "Manjaro's linux66-rt"),
        ("ID=cachyos\nID_LIKE=arch", "6.12.66-2-cachyos-lts", "linux-cachyos-lts-headers", "CachyOS's packages"),
        (ARCH, "6.16.0-rc1-1-mainline", "linux-mainline-headers", "the AUR's linux-mainline"),
        ("ID=photon", "6.1.111-3.ph5", "linux-devel-6.1.111-3.ph5", "Photon's linux.spec"),
        ("ID=photon", "6.1.111-3.ph5-esx", "linux-esx-devel-6.1.111-3.ph5", "Photon's linux-esx.spec"),
        ("ID=photon", "5.10.224-5.ph4-rt", "linux-rt-devel-5.10.224-5.ph4", "Photon's linux-rt.spec"),
        ('ID="solus"', "6.12.9-311.current", "linux-current-headers", "guides for Solus"),
        ('ID="solus"', "6.6.88-282.lts", "linux-lts-headers", "guides for Solus"),
        (
            'ID="xenenterprise"\nID_LIKE="centos rhel fedora"',
            "4.19.0+1",
            "kernel-devel-uname-r = 4.19.0+1",
            "XCP-ng's kernel.spec",
        ),
    ],
)
def test_headers_are_called_as_outside_sources_call_them(tmp_path: Path, os_release: str, release: str, package: str, source: str) -> None:
    host = Tree(tmp_path).file("/etc/os-release", os_release).host()
    assert headers_package(host, release) == package, source


@pytest.mark.parametrize("os_release", ["", "ID=unheardof", "ID=slackware", "ID=kaos", "ID=chimera"])
@pytest.mark.parametrize("release", ["6.12.1", "6.12.48-1", "6.1.0-50-amd64", "5.15.19-smp"])
def test_what_a_distribution_that_is_not_known_calls_headers_is_not_known(tmp_path: Path, os_release: str, release: str) -> None:
    assert headers_package(Tree(tmp_path).file("/etc/os-release", os_release).host(), release) is None


@pytest.mark.parametrize("package", ["linux", "linux-lts", "linux-custom-of-mine"])
def test_arch_names_headers_after_the_kernels_package(tmp_path: Path, package: str) -> None:
    tree = Tree(tmp_path).file("/etc/os-release", ARCH).file("/lib/modules/6.6.1-1/pkgbase", f"{package}\n")
    assert headers_package(tree.host(), "6.6.1-1") == f"{package}-headers"


@pytest.mark.parametrize(
    ("os_release", "folder"),
    [
        (UBUNTU, "updates/dkms"),
        (ROCKY, "extra"),
        (OL, "extra"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"', "updates"),
        (ARCH, "updates/dkms"),
        ("ID=azurelinux", None),
        ('ID="openEuler"', None),
        ("ID=gentoo", None),
    ],
)
def test_dkms_installs_where_it_does_on_that_distribution(tmp_path: Path, os_release: str, folder: str | None) -> None:
    assert dkms_folder(Tree(tmp_path).file("/etc/os-release", f"{os_release}\n").host()) == folder


@pytest.mark.parametrize(
    ("text", "folder"), [('ADDON_MODULES_DIR="weak-updates"\n', "weak-updates"), ("ADDON_MODULES_DIR=../x\n", "extra")]
)
def test_a_setting_gives_dkms_another_folder(tmp_path: Path, text: str, folder: str) -> None:
    tree = Tree(tmp_path).file("/etc/os-release", FEDORA).file("/etc/sysconfig/module-init-tools", text)
    assert dkms_folder(tree.host()) == folder


def test_the_folders_are_those_of_the_real_dkms() -> None:
    """override_dest_module_location() of dkms 3.0: `debian* | ubuntu*) echo "/updates/dkms"`."""
    function = PROGRAMS.text("dkms-3.0/usr/sbin/dkms", "override_dest_module_location()", "\n}\n")
    cases = re.findall(r"^ *([a-z]+\*(?: \| [a-z]+\*)*)\)\n\s*echo \"/([^\"]+)\" && return$", function, re.MULTILINE)
    theirs = {name.rstrip("*"): folder for names, folder in cases for name in names.split(" | ")}
    assert len(theirs) >= 9
    assert {name: folder for name, folder in DKMS_FOLDERS.items() if name in theirs} == theirs
    # CentOS is like RHEL by its ID_LIKE; a copy without that field is not told apart by dkms 3.0.
    assert DKMS_FOLDERS.keys() - theirs.keys() == {"centos"}


def test_the_setting_that_comes_before_them_is_that_of_the_real_dkms() -> None:
    program = PROGRAMS.texts["dkms-3.0/usr/sbin/dkms"]
    assert DKMS_SETTINGS in program
    assert 'echo "/${addon_modules_dir}" && return' in program

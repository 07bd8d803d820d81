# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A dkms.conf read without running it."""

from __future__ import annotations

import re
import time
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.conf import (
    DESTINATIONS,
    OVERRIDES,
    DkmsConf,
    order_key,
    overridden,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit.sources import PROGRAMS
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

PLAIN = "PACKAGE_NAME=gpu\nBUILT_MODULE_NAME[0]=a\nDEST_MODULE_LOCATION[0]=/updates\n"


def conf(text: str) -> DkmsConf:
    return DkmsConf(text, "package/dkms.conf")


def test_name_and_version_are_read() -> None:
    read = conf("PACKAGE_NAME=gpu-driver\nPACKAGE_VERSION='1.2~rc1+git'\n")
    assert (read.name, read.version) == ("gpu-driver", "1.2~rc1+git")


@pytest.mark.parametrize("text", ["PACKAGE_NAME=$(basename $PWD)", "[ -e x ] && PACKAGE_NAME=gpu", ". ./name", "x=1; source ./name"])
def test_a_name_that_only_running_would_show_asks_for_the_option(text: str) -> None:
    with pytest.raises(
        HostError, match=r"PACKAGE_NAME in package/dkms\.conf cannot be determined without running it\. Set the option name"
    ):
        _name = conf(text).name


@pytest.mark.parametrize("text", ["", "# PACKAGE\n", "PACKAGE_VERSION=1.0\nMAKE='make -C dir'\n"])
def test_a_name_that_nothing_sets_is_said_to_be_missing(text: str) -> None:
    with pytest.raises(HostError, match=r"package/dkms\.conf has no PACKAGE_NAME, without which DKMS refuses it"):
        _name = conf(text).name


@pytest.mark.parametrize("name", ["../etc", "a/b", "a b", "", ".hidden", "-m"])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(HostError, match="PACKAGE_NAME"):
        _name = conf(f"PACKAGE_NAME='{name}'").name


def test_modules_are_called_as_they_are_installed() -> None:
    text = "BUILT_MODULE_NAME[0]=a\nBUILT_MODULE_NAME[1]=b\nDEST_MODULE_NAME[1]=c\nDEST_MODULE_LOCATION=(/updates /updates)\n"
    assert conf(text).modules == ("a", "c")


def test_a_single_module_without_a_name_is_called_like_the_package() -> None:
    assert conf("PACKAGE_NAME=gpu\nDEST_MODULE_LOCATION[0]=/updates\n").modules == ("gpu",)


def test_a_number_that_the_file_chooses_takes_no_time() -> None:
    text = f"{PLAIN}BUILT_MODULE_NAME[999999999]=b\n"
    start = time.process_time()
    assert conf(text).modules == ("a", "b")
    assert conf(text).fault() == "has no BUILT_MODULE_NAME[1], though there are settings for 1000000000 modules"
    assert time.process_time() - start < 1


def test_modules_that_only_running_would_show_are_not_guessed() -> None:
    assert conf("PACKAGE_NAME=gpu\nBUILT_MODULE_NAME=(a $(ls *.c))\n").modules == ()


@pytest.mark.parametrize(
    ("rule", "release", "reason"),
    [
        ('BUILD_EXCLUSIVE_KERNEL="^6\\."', "6.1.0-50-amd64", None),
        ('BUILD_EXCLUSIVE_KERNEL="^6\\."', "5.10.0-32-amd64", "BUILD_EXCLUSIVE_KERNEL is '^6\\.', which 5.10.0-32-amd64 does not match"),
        ("BUILD_EXCLUSIVE_ARCH=x86_64", "6.1", None),
        ("BUILD_EXCLUSIVE_ARCH=ppc64le", "6.1", "BUILD_EXCLUSIVE_ARCH is 'ppc64le', which x86_64 does not match"),
        ("BUILD_EXCLUSIVE_KERNEL_MIN=5.15", "5.10.0-32-amd64", "BUILD_EXCLUSIVE_KERNEL_MIN is 5.15"),
        ("BUILD_EXCLUSIVE_KERNEL_MIN=5.15", "5.15.0-1", None),
        ("BUILD_EXCLUSIVE_KERNEL_MAX=6.9", "6.12.1", "BUILD_EXCLUSIVE_KERNEL_MAX is 6.9"),
        ("BUILD_EXCLUSIVE_KERNEL_MAX=6.12.999", "6.12.1", None),
        ("OBSOLETE_BY=6.1", "6.12.1", "OBSOLETE_BY is 6.1: that kernel and newer ones have the driver themselves"),
        ('BUILD_EXCLUSIVE_CONFIG="CONFIG_VFIO_PCI_CORE"', "6.1", None),
        ('BUILD_EXCLUSIVE_CONFIG="CONFIG_PCI CONFIG_XEN"', "6.1", "the kernel is built without CONFIG_XEN"),
        ('BUILD_EXCLUSIVE_CONFIG="!CONFIG_PCI"', "6.1", "the kernel is built with CONFIG_PCI"),
        # DKMS hands each word to grep, which takes it for an expression.
        ('BUILD_EXCLUSIVE_CONFIG="CONFIG_VFIO_PCI_[A-Z]*"', "6.1", None),
        ('BUILD_EXCLUSIVE_CONFIG="CONFIG_VFIO_PCI_CORE !CONFIG_X.N CONFIG_XEN"', "6.1", "the kernel is built without CONFIG_XEN"),
        ('BUILD_EXCLUSIVE_CONFIG="! CONFIG_PCI"', "6.1", None),
        ('BUILD_EXCLUSIVE_CONFIG="VFIO_PCI_CORE"', "6.1", "the kernel is built without VFIO_PCI_CORE"),
        ('BUILD_EXCLUSIVE_KERNEL="$(cat /etc/pattern)"', "6.1", None),
        ('if [[ $kernelver = 7.* ]]; then BUILD_EXCLUSIVE_ARCH="none"; fi', "6.1", None),
        ("", "6.1", None),
    ],
)
def test_rules_exclude_kernels_as_dkms_would(rule: str, release: str, reason: str | None) -> None:
    assert conf(rule).exclusion(release, "x86_64", "CONFIG_PCI=y\nCONFIG_VFIO_PCI_CORE=m\n# CONFIG_XEN is not set\n") == reason


@pytest.mark.parametrize("expression", ["[", "(6.1", "*6", "6{2,1}", "6.1\\\\"])
@pytest.mark.parametrize("rule", ["BUILD_EXCLUSIVE_KERNEL", "BUILD_EXCLUSIVE_ARCH"])
def test_a_rule_that_is_not_an_expression_excludes_all_kernels_for_dkms_and_is_an_error(rule: str, expression: str) -> None:
    with pytest.raises(HostError, match=rf"^{rule} in package/dkms\.conf is '.*', which is not a valid regular expression, so that DKMS"):
        conf(f'{rule}="{expression}"').exclusion("6.1", "x86_64", None)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (PLAIN, None),
        ("PACKAGE_NAME=gpu\nDEST_MODULE_LOCATION=/extra/x\n", None),
        ("PACKAGE_NAME=gpu\n", "has no DEST_MODULE_LOCATION, and nothing is installed without one"),
        ("PACKAGE_NAME=gpu\nBUILT_MODULE_NAME=a\nMAKE=true\n", "has no DEST_MODULE_LOCATION, and nothing is installed without one"),
        (f"{PLAIN}BUILT_MODULE_NAME[1]=b\n", "has '' as DEST_MODULE_LOCATION[1], which does not begin with /kernel, /updates or /extra"),
        (f"{PLAIN}DEST_MODULE_LOCATION[0]=/lib/modules\n", "has '/lib/modules' as DEST_MODULE_LOCATION[0], which does not begin with"),
        (f"{PLAIN}BUILT_MODULE_NAME[0]=a.ko\n", "has BUILT_MODULE_NAME[0]=a.ko; a module's name has no .ko at its end"),
        (f"{PLAIN}DEST_MODULE_NAME[0]=b.ko\n", "has DEST_MODULE_NAME[0]=b.ko; a module's name has no .ko at its end"),
        (
            f"{PLAIN}BUILT_MODULE_NAME[2]=c\nDEST_MODULE_LOCATION[2]=/updates\n",
            "has no BUILT_MODULE_NAME[1], though there are settings for 3 modules",
        ),
        (PLAIN.replace("\n", "\r\n"), "has lines that end with a carriage return, which bash takes for a part of their values"),
        (f"{PLAIN}unset DEST_MODULE_LOCATION\n", "has no DEST_MODULE_LOCATION, and nothing is installed without one"),
        ("PACKAGE_NAME=gpu\nBUILT_MODULE_NAME=($(ls))\n", None),
        ("PACKAGE_NAME=gpu\n. ./modules\n", None),
        ("PACKAGE_NAME=gpu\nfor i in a b; do DEST_MODULE_LOCATION[0]=/updates; done\n", None),
    ],
)
def test_what_dkms_refuses_is_known_before_it_is_run(text: str, fault: str | None) -> None:
    found = conf(text).fault()
    assert (found or "").startswith(fault or "")
    assert (found is None) == (fault is None)


def test_an_administrator_changes_the_settings_of_a_package_for_all_kernels_or_one(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/dkms/gpu.conf", 'BUILD_EXCLUSIVE_KERNEL="^6"\n')
    tree.file("/etc/dkms/gpu-1.0-6.1.conf", "BUILD_EXCLUSIVE_KERNEL=^7\n").file("/etc/dkms/gpu-2.0.conf", "PACKAGE_NAME=other\n")

    def answers(release: str) -> str | None:
        of_package = overridden(tree.host(), conf(PLAIN), ("gpu", "gpu-1.0"))
        return overridden(tree.host(), of_package, (f"gpu-1.0-{release}",)).exclusion(release, "x86_64", None)

    assert answers("6.12") is None
    assert answers("5.10") == "BUILD_EXCLUSIVE_KERNEL is '^6', which 5.10 does not match"
    assert answers("6.1") == "BUILD_EXCLUSIVE_KERNEL is '^7', which 6.1 does not match"
    assert overridden(tree.host(), conf(PLAIN), ("gpu", "gpu-1.0")).where == "package/dkms.conf with /etc/dkms/gpu.conf"
    assert overridden(tree.host(), conf(PLAIN), ("pci", "pci-1.0")) == conf(PLAIN)


def test_these_are_the_rules_of_the_real_dkms() -> None:
    function = PROGRAMS.text("dkms-3.0/usr/sbin/dkms", "read_conf()", "\n}\n")
    assert [place.strip("*)") for place in re.findall(r"/\w+\*\)", function)] == list(DESTINATIONS)
    assert f'"{OVERRIDES}/$module.conf"' in function
    assert "[[ $BUILD_EXCLUSIVE_KERNEL && ! $1 =~ $BUILD_EXCLUSIVE_KERNEL ]] && build_exclude=" in function
    # What is installed is not compared with the kernel's own module: every refusal of that kind asks for --force, which is given.
    sanity = PROGRAMS.text("dkms-3.0/usr/sbin/dkms", "check_version_sanity()", "\n}\n")
    assert sanity.count("return 1") == sanity.count("override by specifying --force")


def test_a_kernel_whose_configuration_is_not_there_is_not_excluded_for_it() -> None:
    assert conf("BUILD_EXCLUSIVE_CONFIG=CONFIG_XEN").exclusion("6.1", "x86_64", None) is None


def test_versions_are_ordered_as_numbers() -> None:
    releases = ["6.9.1", "6.12.107+deb13-amd64", "5.10.0", "6.1.0-50-amd64", "6.12.9"]
    assert sorted(releases, key=order_key) == ["5.10.0", "6.1.0-50-amd64", "6.9.1", "6.12.9", "6.12.107+deb13-amd64"]


def test_a_file_that_nobody_writes_is_refused_by_its_name() -> None:
    long = DkmsConf(
        'PACKAGE_NAME="x"\nPACKAGE_VERSION="1"\n' + "".join(f'BUILT_MODULE_NAME[{number}]="m"\n' for number in range(20_000)), "x/dkms.conf"
    )
    for ask in (lambda: long.name, lambda: long.modules, long.fault):
        with pytest.raises(HostError, match=r"^x/dkms\.conf cannot be read: it has more than 256 KiB\.$"):
            ask()

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""On a distribution with ways of its own no module writes anything, while what is there can still be read."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.apply import boot_policy as policies
from ansible_collections.vfio.variants.plugins.module_utils._core.apply import kernel_cmdline as arguments
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.image_sync import sync_images
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms import steps
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.modules import boot_policy, dkms_package, initramfs, kernel_cmdline
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info, options_of
from ansible_collections.vfio.variants.tests.unit.policy_hosts import contents, gpu_host

if t.TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

Call = t.Callable[["Host", bool], object]


def _policy(host: Host, check_mode: bool, **options: t.Any) -> object:
    return policies.apply(host, boot_policy.request(options_of(boot_policy.ARGUMENTS, devices="10de:1db1", **options)), check_mode)


def _images(host: Host, check_mode: bool, **options: t.Any) -> object:
    return sync_images(host, initramfs.request(options_of(initramfs.ARGUMENTS, **options)), check_mode)


def _arguments(host: Host, check_mode: bool, **options: t.Any) -> object:
    given = options_of(kernel_cmdline.ARGUMENTS, arguments=["iommu=pt"], **options)
    return arguments.apply(host, kernel_cmdline.request(given), check_mode)


def _drivers(host: Host, check_mode: bool, **options: t.Any) -> object:
    return steps.run(host, dkms_package.request(options_of(dkms_package.ARGUMENTS, name="gpu", version="1.0", **options)), check_mode)


CALLS: dict[str, tuple[Call, str]] = {
    "boot_policy": (_policy, "writes no boot policy"),
    "initramfs": (_images, "rebuilds no initramfs image"),
    "kernel_cmdline": (_arguments, "changes no kernel arguments"),
    "dkms_package": (_drivers, "installs no drivers"),
}
IDS = (
    *("nixos", "alpine", "flatcar", "opensuse-microos", "rhcos", "talos", "unraid-os", "gentoo", "void"),
    *("bottlerocket", "vanilla", "chimeraos", "cos", "vyos", "truenas", "clear-linux-os", "chimera", "photon"),
    *("kairos", "haos", "libreelec", "coreelec", "openwrt", "chromeos", "aerynos", "blendos", "kde-linux", "particleos-arch", "slackware"),
)


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("module", CALLS)
def test_each_module_refuses_before_it_writes(tmp_path: Path, module: str, name: str, check_mode: bool) -> None:
    tree = gpu_host(tmp_path).file("/etc/os-release", f"ID={name}\n")
    before, (call, what) = contents(tree), CALLS[module]

    with pytest.raises(HostError, match=what):
        call(tree.host(Commands(tree.root)), check_mode)

    assert contents(tree) == before


@pytest.mark.parametrize(
    ("text", "evidence"),
    [
        ("ID=endless\n", "ID=endless"),
        ("ID=bazzite\nID_LIKE=fedora\n", "ID=bazzite"),
        ("ID=centos\nID_LIKE=fedora\nOSTREE_VERSION='9.2026'\n", "OSTREE_VERSION=9.2026"),
    ],
)
def test_an_image_of_ostree_is_known_without_its_files(tmp_path: Path, text: str, evidence: str) -> None:
    tree = gpu_host(tmp_path).file("/etc/os-release", text)

    with pytest.raises(HostError, match=rf"^This host is an ostree or bootc image \({evidence}\)"):
        _policy(tree.host(Commands(tree.root)), True)


@pytest.mark.parametrize("name", IDS)
def test_device_info_answers_all_the_same(tmp_path: Path, name: str) -> None:
    tree = gpu_host(tmp_path).file("/etc/os-release", f"ID={name}\n")
    found = device_info(tree.host(Commands(tree.root)))["devices"]
    assert {"0000:3b:00.0", "0000:5e:00.0"} <= {device["address"] for device in found}


def test_a_user_may_try_it_where_only_the_layout_is_not_known(tmp_path: Path) -> None:
    tree = gpu_host(tmp_path).file("/etc/os-release", "ID=gentoo\n")
    host = tree.host(Commands(tree.root))

    assert _policy(host, True, allow_unsupported=True)
    assert _images(host, True, allow_unsupported=True)
    tree.file("/usr/bin/dracut", "#!/bin/sh\n", 0o755)
    assert _images(host, True, generator="dracut")
    with pytest.raises(HostError, match="Which boot loader"):
        _arguments(host, True, allow_unsupported=True)


def test_a_policy_of_an_earlier_day_can_still_be_removed(tmp_path: Path) -> None:
    tree = gpu_host(tmp_path)
    before = contents(tree)
    host = tree.host(Commands(tree.root))
    _policy(host, False)
    tree.file("/etc/os-release", "ID=nixos\n")
    policies.apply(host, boot_policy.request(options_of(boot_policy.ARGUMENTS, state="absent")), False)
    tree.place("/etc/os-release").unlink()

    assert contents(tree) == before

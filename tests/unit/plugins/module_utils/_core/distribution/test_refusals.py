# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Distributions with ways of their own are recognised, whatever a module is about to write, and that way is named."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.refusals import UNWRITTEN, native_way, refusal, refuse
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.refusals import Task

HOSTS: tuple[tuple[str, tuple[str, ...], dict[Task, str]], ...] = (
    ("ID=fedora\nVARIANT_ID=silverblue\n", (), {"arguments": "rpm-ostree kargs", "images": "rpm-ostree initramfs"}),
    ("ID=fedora\n", ("/run/ostree-booted",), {"arguments": "rpm-ostree kargs", "policy": "initramfs-etc", "drivers": "image"}),
    ("ID=debian\n", ("/ostree/repo/config",), {"arguments": "rpm-ostree kargs"}),
    ("ID=fedora\n", ("/sysroot/state/deploy/0/origin",), {"arguments": "/usr/lib/bootc/kargs.d", "drivers": "image"}),
    ('ID="rhcos"\nID_LIKE="rhel fedora"\n', (), {"arguments": "rpm-ostree kargs", "drivers": "image"}),
    ("ID=nixos\n", (), {"arguments": "boot.kernelParams", "policy": "boot.extraModprobeConfig", "drivers": "boot.extraModulePackages"}),
    ("ID=talos\n", (), {"arguments": "machine.install.extraKernelArgs", "policy": "machine.kernel.modules"}),
    ("ID=flatcar\nID_LIKE=coreos\n", (), {"arguments": "linux_append", "policy": "Ignition", "drivers": "sysext"}),
    ("ID=alpine\n", (), {"arguments": "default_kernel_opts", "policy": "features.d", "images": "mkinitfs", "drivers": "akms"}),
    ("ID=postmarketos\nID_LIKE=alpine\n", (), {"arguments": "default_kernel_opts", "images": "mkinitfs"}),
    ("ID=slackware\n", ("/boot/config/vfio-pci.cfg",), {"arguments": "Syslinux Configuration", "policy": "System Devices"}),
    ('ID="opensuse-microos"\nID_LIKE="suse opensuse"\n', (), dict.fromkeys(UNWRITTEN, "transactional-update")),
    ('ID="sle-micro"\nID_LIKE="suse"\n', (), dict.fromkeys(UNWRITTEN, "transactional-update")),
    ("ID=ubuntu-core\n", (), {"arguments": "snap set system", "drivers": "kernel snap"}),
    ("ID=gentoo\n", (), {"arguments": "grub-mkconfig", "images": "dracut --force", "drivers": "ebuild"}),
    ("ID=void\n", (), {"arguments": "grub-mkconfig -o", "images": "xbps-reconfigure"}),
    ("ID=steamos\nID_LIKE=arch\n", (), {"policy": "no supported way"}),
)


def host_like(root: Path, os_release: str, files: tuple[str, ...] = ()) -> Tree:
    tree = Tree(root).file("/etc/os-release", os_release)
    for path in files:
        tree.file(path)
    return tree


@pytest.mark.parametrize("task", UNWRITTEN)
@pytest.mark.parametrize(("os_release", "files", "named"), HOSTS)
def test_a_host_with_a_way_of_its_own_is_refused(
    tmp_path: Path, os_release: str, files: tuple[str, ...], named: dict[Task, str], task: Task
) -> None:
    host = host_like(tmp_path, os_release, files).host()

    with pytest.raises(HostError) as raised:
        refuse(host, task)

    sentence = raised.value.msg
    assert UNWRITTEN[task] in sentence
    assert named.get(task, "") in sentence
    assert sentence.endswith(".")
    assert sentence.count(". ") == 0


@pytest.mark.parametrize("os_release", ["ID=gentoo\n", "ID=void\n"])
def test_a_host_whose_layout_is_not_known_is_written_to_at_the_users_own_risk(tmp_path: Path, os_release: str) -> None:
    host = host_like(tmp_path, os_release).host()

    assert "allow_unsupported" in (refusal(host, "policy") or "")
    assert refusal(host, "policy", allow_unsupported=True) is None
    assert native_way(host, "images") is None


@pytest.mark.parametrize("os_release", ["ID=nixos\n", "ID=alpine\n", "ID=opensuse-microos\n"])
def test_where_it_cannot_work_no_option_helps(tmp_path: Path, os_release: str) -> None:
    assert refusal(host_like(tmp_path, os_release).host(), "policy", allow_unsupported=True) is not None


def test_a_read_only_root_with_transactional_update_is_refused(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/os-release", "ID=opensuse-tumbleweed\n").file("/usr/sbin/transactional-update", "#!/bin/sh\n", 0o755)
    assert refusal(tree.file("/etc/fstab", "UUID=1 / btrfs rw 0 0\n").host(), "arguments") is None

    sentence = refusal(tree.file("/etc/fstab", "UUID=1 / btrfs ro 0 0\n").host(), "arguments")

    assert sentence is not None
    assert "/etc/fstab" in sentence


@pytest.mark.parametrize(
    "os_release",
    [
        "ID=debian\n",
        "ID=ubuntu\nID_LIKE=debian\n",
        'ID="rocky"\nID_LIKE="rhel centos fedora"\n',
        "ID=azurelinux\n",
        'ID="openEuler"\n',
        'ID="sles"\nID_LIKE="suse"\n',
        "ID=endeavouros\nID_LIKE=arch\n",
        "ID=fedora\nVARIANT_ID=server\n",
        "ID=unheardof\n",
        "",
    ],
)
@pytest.mark.parametrize("task", UNWRITTEN)
def test_any_other_host_is_written_to(tmp_path: Path, os_release: str, task: Task) -> None:
    assert refusal(host_like(tmp_path, os_release).host(), task) is None

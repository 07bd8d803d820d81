# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What many guides show: a softdep, with neither an ids option nor an override."""

from __future__ import annotations

import typing as t


def test_the_softdep_reached_the_initramfs(host: t.Any) -> None:
    assert "modprobe.d/site.conf" in host.check_output("lsinitramfs /boot/initrd.img-$(uname -r)")


def test_a_softdep_alone_loses_although_vfio_pci_was_loaded_first(host: t.Any, owner: t.Callable[[str], str]) -> None:
    assert host.file("/etc/modprobe.d/site.conf").contains("softdep vmxnet3 pre: vfio-pci")
    assert host.file("/sys/module/vfio_pci").exists
    assert owner("nic-with-softdep-alone") == "vmxnet3"

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person is told to do about kernel arguments where no program can be called for it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit import cmdline_hosts as hosts

if t.TYPE_CHECKING:
    from pathlib import Path

WORDS = ("intel_iommu=on", "iommu=pt")


def test_of_several_loaders_each_has_its_own_way(tmp_path: Path) -> None:
    with pytest.raises(HostError) as raised:
        hosts.two_loaders(tmp_path).call(*WORDS)
    hint = raised.value.hint or ""
    assert hint.startswith("Where it is clear to you which loader boots: add them to GRUB_CMDLINE_LINUX_DEFAULT in")
    assert hint.endswith("; or add them to the line `append` of its entries in /boot/extlinux/extlinux.conf.")


def test_entries_of_a_program_that_is_gone_have_its_settings_named(tmp_path: Path) -> None:
    host = hosts.u_boot(tmp_path)
    host.tree.place("/usr/sbin/u-boot-update").unlink()
    with pytest.raises(HostError, match="by no program that is known and installed") as raised:
        host.call(*WORDS)
    assert raised.value.hint == "By hand: add them to U_BOOT_PARAMETERS in /etc/default/u-boot and run `u-boot-update`."

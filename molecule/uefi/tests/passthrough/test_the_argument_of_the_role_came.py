# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot with the argument that the role has added."""

from __future__ import annotations

import typing as t


def test_the_host_itself_is_not_translated(host: t.Any) -> None:
    assert "iommu=pt" in host.check_output("cat /proc/cmdline").split()
    assert host.check_output("cat /sys/kernel/iommu_groups/*/type | sort -u") == "identity"

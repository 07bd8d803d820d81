# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Before the first claim, and after the last one was given back: physical functions as the kernel finds them."""

from __future__ import annotations

import typing as t

import pytest


@pytest.mark.parametrize(("function", "native", "most"), [("nic", "igb", "7"), ("disk", "nvme", "64")])
def test_the_native_driver_has_a_card_without_virtual_functions(
    host: t.Any, physical: dict[str, str], function: str, native: str, most: str
) -> None:
    here = f"/sys/bus/pci/devices/{physical[function]}"
    assert host.file(f"{here}/driver").linked_to.endswith(f"/{native}")
    found = host.check_output("cd %s && cat sriov_totalvfs sriov_numvfs sriov_drivers_autoprobe", here).split()
    assert found == [most, "0", "1"]

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot has created the virtual functions, and nobody but the claimed driver has had one."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest

PREDICTED = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "predicted.json"


@pytest.mark.parametrize(("function", "native", "count"), [("nic", "igb", 7), ("disk", "nvme", 64)])
def test_each_is_claimed_and_the_card_keeps_its_driver(
    host: t.Any, physical: dict[str, str], owners: t.Callable[[str], dict[str, str]], function: str, native: str, count: int
) -> None:
    assert list(owners(physical[function]).values()) == ["vfio-pci"] * count
    assert host.file(f"/sys/bus/pci/devices/{physical[function]}/driver").linked_to.endswith(f"/{native}")


def test_they_have_the_addresses_and_owners_that_were_predicted_before_they_existed(
    physical: dict[str, str], owners: t.Callable[[str], dict[str, str]]
) -> None:
    assert {**owners(physical["nic"]), **owners(physical["disk"])} == json.loads(PREDICTED.read_text())


def test_each_can_be_given_to_a_guest(host: t.Any, physical: dict[str, str], owners: t.Callable[[str], dict[str, str]]) -> None:
    functions = [*owners(physical["nic"]), *owners(physical["disk"])]
    links = " ".join(f"{function}/iommu_group" for function in functions)
    groups = [line.rpartition("/")[2] for line in host.check_output(f"cd /sys/bus/pci/devices && readlink {links}").split()]
    nodes = set(host.check_output("ls /dev/vfio").split()) - {"vfio", "devices"}
    assert len(set(groups)) == len(functions)
    assert nodes == set(groups)

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cloud-init runs at every boot, and what once."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import read as startup
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_13, Tree

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence

CARD = "0000:3b:00.0"
INSTANCE = "/var/lib/cloud/instance"
ACTS = f"echo 1 > /sys/bus/pci/devices/{CARD}/remove\n"
SCRIPT = f"#!/bin/sh\n{ACTS}"
COMMANDS = f'#cloud-config\nbootcmd:\n  - "{ACTS.strip()}"\n'


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(tmp_path).kernel(DEBIAN_13, {"vfio-pci": [ANY_VFIO]}, running=True).systemd().pci(CARD)
    made.file("/usr/lib/systemd/system/cloud-final.service", "[Service]\nExecStart=/usr/bin/cloud-init modules --mode=final\n")
    return made.link("/etc/systemd/system/multi-user.target.wants/cloud-final.service", "/usr/lib/systemd/system/cloud-final.service")


def found(tree: Tree) -> list[Influence]:
    host = tree.host()
    read = startup.read(host, Kernel.read(host, DEBIAN_13), Inventory.read(host), Cmdline.parse(""), "/proc/cmdline")
    return [one for one in (*read.early, *read.later) if "cloud" in one.source]


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize(
    "place", [f"{INSTANCE}/boothooks/part-001", "/var/lib/cloud/scripts/per-boot/own", f"{INSTANCE}/vendor-cloud-config.txt"]
)
def test_what_runs_at_every_boot_acts_whether_or_not_the_first_one_is_over(tree: Tree, place: str, done: bool) -> None:
    tree.file(place, COMMANDS if place.endswith(".txt") else SCRIPT, 0o755)
    if done:
        tree.file(f"{INSTANCE}/sem/config_runcmd", "")
    assert {(one.addresses, tuple(one.acts)) for one in found(tree)} == {(frozenset({CARD}), ("remove",))}


@pytest.mark.parametrize("place", [f"{INSTANCE}/scripts/vendor/own", f"{INSTANCE}/scripts/part-001", "/var/lib/cloud/scripts/per-once/own"])
def test_what_runs_once_acts_at_the_first_boot_alone(tree: Tree, place: str) -> None:
    assert found(tree.file(place, SCRIPT, 0o755))
    assert found(tree.file(f"{INSTANCE}/sem/config_scripts_user", "")) == []

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of devices from the host's pci.ids."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.names import DATABASES, LONGEST, read_names
from ansible_collections.vfio.variants.tests.unit.trees import Tree

DATABASE = """\
# Version: 2026.01.01
0001  SafeNet (wrong ID)
10de  NVIDIA Corporation
# a comment in the section
\t1db0  GV100GL
\t1db1  GV100GL [Tesla V100 SXM2 16GB]
\t\t10de 1db9  a subsystem, which is not a device
\t1db2  GV100GL [Tesla V100 DGXS 16GB]
8086  Intel Corporation
\t10d3  82574L Gigabit Network Connection
C 03  Display controller
\t00  VGA compatible controller
"""


def names(tree: Tree) -> dict[str, str]:
    host = tree.host()
    return read_names(host, Inventory.read(host).devices)


def cards(root: Path, *ids: str) -> Tree:
    tree = Tree(root)
    for number, one in enumerate(ids):
        tree.pci(f"0000:0{number}:00.0", one)
    return tree


@pytest.mark.parametrize("path", DATABASES)
def test_vendor_and_device_have_their_names_wherever_the_database_lies(tmp_path: Path, path: str) -> None:
    tree = cards(tmp_path, "10de:1db1", "8086:10d3").file(path, DATABASE)
    assert names(tree) == {
        "10de:1db1": "NVIDIA Corporation GV100GL [Tesla V100 SXM2 16GB]",
        "8086:10d3": "Intel Corporation 82574L Gigabit Network Connection",
    }


def test_a_device_that_is_not_in_it_has_its_vendors_name_and_a_vendor_that_is_not_has_none(tmp_path: Path) -> None:
    tree = cards(tmp_path, "10de:1db9", "15b3:1021").file(DATABASES[0], DATABASE)
    assert names(tree) == {"10de:1db9": "NVIDIA Corporation Device 1db9"}


def test_without_a_database_there_are_no_names(tmp_path: Path) -> None:
    tree = cards(tmp_path, "10de:1db1")
    assert names(tree) == {}
    tree.directory("/usr/share/misc")
    os.mkfifo(tree.place("/usr/share/misc/pci.ids"))
    assert names(tree) == {}


def test_a_name_is_one_short_line_of_signs_that_can_be_shown(tmp_path: Path) -> None:
    tree = cards(tmp_path, "10de:1db1").file(DATABASES[1], f"10de  NVIDIA\x1b[31m\n\t1db1  a\tb {'x' * 500}\n".encode() + b"\xff")
    (name,) = names(tree).values()
    assert name.startswith("NVIDIA[31m a b xxx")
    assert (name.isprintable(), len(name)) == (True, LONGEST)


def test_the_distributions_database_is_read_as_lspci_reads_it(tmp_path: Path) -> None:
    published = Path("/usr/share/misc/pci.ids").read_bytes()
    tree = cards(tmp_path, "10de:1db1", "8086:10d3", "1af4:1041", "1002:74a1").file(DATABASES[1], published)
    assert names(tree)["10de:1db1"] == "NVIDIA Corporation GV100GL [Tesla V100 SXM2 16GB]"
    assert names(tree)["1af4:1041"].startswith("Red Hat, Inc. Virtio")
    longest = max(len(line) for line in published.decode().splitlines() if line.startswith("\t") and not line.startswith("\t\t"))
    assert longest <= LONGEST

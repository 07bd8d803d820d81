# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PCI driver that systemd loads before udev starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.early_modules import read
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

VIRTIO = "pci:v00001AF4d*sv*sd*bc*sc*i*"


def loaded(tmp_path: Path, version: int, identity: str, *modules: str) -> list[frozenset[str] | None]:
    tree = Tree(tmp_path).kernel(DEBIAN_13, {name: [VIRTIO] for name in modules}, running=True).systemd(version)
    host = tree.pci("0000:00:08.0", identity, class_code=0x00FF00).host()
    return [one.modules for one in read(host, Kernel.read(host, DEBIAN_13), Inventory.read(host))]


@pytest.mark.parametrize("version", [250, 252, 257])
def test_systemd_loads_the_driver_of_virtio_devices(tmp_path: Path, version: int) -> None:
    assert loaded(tmp_path, version, "1af4:1044", "virtio_pci") == [frozenset({"virtio_pci"})]


@pytest.mark.parametrize(
    ("version", "identity", "modules"),
    [(249, "1af4:1044", ["virtio_pci"]), (257, "8086:10d3", ["virtio_pci"]), (257, "1af4:1044", ["e1000e"])],
)
def test_it_loads_none_without_such_a_device_or_module_or_by_an_older_version(
    tmp_path: Path, version: int, identity: str, modules: list[str]
) -> None:
    assert loaded(tmp_path, version, identity, *modules) == []

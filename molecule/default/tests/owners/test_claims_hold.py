# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who owns what under the claims: right after converge, bound live, and again after a boot."""

from __future__ import annotations

import typing as t

import pytest

OWNERS = {
    "gpu-claimed": "nvlink2gpu_vfio_pci",
    "gpu-same": "nouveau",
    "gpu-by-ids": "nvlink2gpu_vfio_pci",
    "nic-claimed": "vfio-pci",
    "disk-by-ids": "vfio-pci",
    "nic-by-blacklist": "vfio-pci",
    "nic-with-softdep-alone": "vmxnet3",
}


@pytest.mark.parametrize(("function", "driver"), OWNERS.items())
def test_it_has_its_driver(owner: t.Callable[[str], str], function: str, driver: str) -> None:
    assert owner(function) == driver

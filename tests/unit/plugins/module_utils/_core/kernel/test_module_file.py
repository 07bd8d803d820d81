# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module files: what they are called."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_file import module_name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("kernel/drivers/vfio/pci/vfio-pci.ko", "vfio_pci"),
        ("updates/dkms/nvlink2gpu_vfio_pci.ko.zst", "nvlink2gpu_vfio_pci"),
        ("vfio-pci.ko.xz", "vfio_pci"),
        ("modules.dep", None),
        ("vfio-pci.ko.debug", None),
    ],
)
def test_a_module_is_named_as_the_kernel_names_it(path: str, name: str | None) -> None:
    assert module_name(path) == name

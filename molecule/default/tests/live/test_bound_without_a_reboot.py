# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Right after converge: everything is bound live, and it is what check mode had said."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest

OWNERS = {
    "gpu-claimed": "nvlink2gpu_vfio_pci",
    "gpu-twin": "nouveau",
    "gpu-by-ids": "nvlink2gpu_vfio_pci",
    "nic-claimed": "vfio-pci",
    "disk-by-ids": "vfio-pci",
    "nic-by-blacklist": "vfio-pci",
    "nic-with-softdep-alone": "vmxnet3",
}
FOLDER = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])


@pytest.mark.parametrize(("function", "driver"), OWNERS.items())
def test_it_has_its_driver(owner: t.Callable[[str], str], function: str, driver: str) -> None:
    assert owner(function) == driver


def test_check_mode_had_predicted_exactly_this() -> None:
    assert json.loads((FOLDER / "predicted.json").read_text()) == json.loads((FOLDER / "done.json").read_text())

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first boot of the image, beside what was said of it while it was mounted on the builder."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

PREDICTED = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "predicted.json"


def predicted() -> dict[str, t.Any]:
    (card,) = json.loads(PREDICTED.read_text(encoding="utf-8"))
    answer: dict[str, t.Any] = card["next_boot"]
    return answer


def test_the_driver_is_the_one_that_was_certain(owner: t.Callable[[str], str]) -> None:
    assert predicted()["certainty"] == "certain"
    assert predicted()["winner"] == owner("gpu") == "nvlink2gpu_vfio_pci"


def test_the_kernel_has_the_argument_and_an_iommu(host: t.Any, at: dict[str, str]) -> None:
    assert "intel_iommu=on" in host.check_output("cat /proc/cmdline").split()
    assert host.file(f"/sys/bus/pci/devices/{at['gpu']}/iommu_group").is_symlink


def test_a_claim_made_on_the_machine_has_nothing_to_do(claim: t.Callable[..., dict[str, t.Any]]) -> None:
    assert not claim("10de:1db1", "variant")["changed"]

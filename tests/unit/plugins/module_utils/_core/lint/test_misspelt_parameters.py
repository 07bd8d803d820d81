# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters that a module does not have."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.tests.unit.boots import STOCK, boot, device
from ansible_collections.vfio.variants.tests.unit.judged import judged
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.lint.test_refused_values import host

WITH_TYPE1 = {**STOCK, "vfio": [], "vfio_iommu_type1": []}


def told(modprobe: str = "", cmdline: str = "") -> list[str]:
    found = judged(boot(modprobe=modprobe, cmdline=cmdline, modules=WITH_TYPE1), devices=[device()])
    return [one.sentence for one in found if one.kind == "unknown-parameter"]


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("options vfio-pci disable_vgaa=1", "Write `disable_vga=1`."),
        ("options vfio-pci disable_idle=1", "Write `disable_idle_d3=1`."),
        ("options vfio_iommu_type1 allow_unsafe_interupts=1", "Write `allow_unsafe_interrupts=1`."),
        ("options vfio-iommu-type1 unsafe_interrupts=1", "Write `allow_unsafe_interrupts=1`."),
        (
            "options vfio allow_unsafe_interrupts=1",
            "It is one of vfio_iommu_type1: write `options vfio_iommu_type1 allow_unsafe_interrupts=1`.",
        ),
        ("options vfio-pci enable_unsafe_noiommu_mode", "It is one of vfio: write `options vfio enable_unsafe_noiommu_mode`."),
    ],
)
def test_a_parameter_that_resembles_another_one_is_named_with_it(line: str, meant: str) -> None:
    (said,) = told(f"{line}\n")
    assert said.startswith(f"/etc/modprobe.d/site.conf:1: {line.split()[1].replace('-', '_')} has no parameter ")
    assert said.endswith(meant)


def test_on_the_command_line_too() -> None:
    (said,) = told(cmdline="vfio-pci.disable_idle_d33=1")
    assert said.endswith("has no parameter disable_idle_d33, so `vfio-pci.disable_idle_d33=1` has no effect. Write `disable_idle_d3=1`.")


@pytest.mark.parametrize(
    "line",
    [
        "options vfio-pci disable-vga=1 disable_idle_d3=1 nointxmask=1 enable_sriov=1 disable_denylist=1",
        "options vfio-pci dyndbg=+p async_probe=1",
        "options unknown disable_vgaa=1",
    ],
)
def test_a_parameter_that_is_one_or_resembles_none_is_left_alone(line: str) -> None:
    assert told(f"{line}\n") == []


def test_a_comment_behind_options_is_told_once() -> None:
    found = judged(boot(modprobe="options vfio-pci ids=10de:1db1 # both cards\n", modules=WITH_TYPE1), devices=[device()])
    (said,) = (one.sentence for one in found if one.kind in ("comment-behind-options", "unknown-parameter"))
    assert said == (
        "/etc/modprobe.d/site.conf:1: kmod knows no comment behind `options`, and gives its words to vfio_pci, which ignores them. "
        "Put the comment into a line of its own."
    )


def test_a_file_s_own_parameters_are_known() -> None:
    found = judged(host("options nouveau modset=0\noptions nouveau atomic=1\n"), devices=[device()])
    assert [one.sentence.rpartition(". ")[2] for one in found if one.kind == "unknown-parameter"] == ["Write `modeset=0`."]

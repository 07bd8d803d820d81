# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A function that a variant takes from vfio-pci loses options that the variant does not have, and that is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.tests.unit.module_calls import device_claim
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply.model_kernel import ModelKernel
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, NVIDIA_DISPLAY, V100_VARIANT, Tree

GPU = "0000:01:00.0"
VARIANT = "nvlink2gpu_vfio_pci"
NEW, OLD = "7.3.4+deb13-amd64", "6.12.107+deb13-amd64"
GIVEN = "/sys/module/vfio_pci/parameters"


def warnings(
    root: Path, release: str = NEW, *, driver: str = "vfio-pci", target: str = "auto", check_mode: bool = True, own: str = ""
) -> list[str]:
    modules = {"nouveau": [NVIDIA_DISPLAY], "vfio-pci": [ANY_VFIO], VARIANT: [V100_VARIANT]}
    tree = Tree(root).kernel(release, modules, running=True).pci(GPU, driver=driver, group=15)
    tree.file(f"{GIVEN}/disable_idle_d3", "Y\n").file(f"{GIVEN}/nointxmask", "N\n").file(f"{GIVEN}/disable_vga", "Y\n")
    if own:
        tree.file(f"/sys/module/{VARIANT}/parameters/{own}", "Y\n")
    kernel = ModelKernel(tree, {GPU: "nouveau"}, {"vfio_pci": ["vfio-pci"], VARIANT: [VARIANT], "nouveau": ["nouveau"]})
    found: list[str] = device_claim(kernel, check_mode, devices=GPU, driver=target, timeout=5)["warnings"]
    return found


@pytest.mark.parametrize("check_mode", [True, False])
def test_the_options_that_are_on_are_named_for_the_function_that_loses_them(tmp_path: Path, check_mode: bool) -> None:
    (warning,) = warnings(tmp_path, check_mode=check_mode)
    assert warning == (
        f"{GPU} is taken from vfio-pci, which was loaded with disable_idle_d3 and disable_vga: {VARIANT} has no such option, "
        "and since Linux 7.2 those of vfio-pci are its own."
    )


def test_nothing_is_said_where_nothing_is_lost(tmp_path: Path) -> None:
    assert warnings(tmp_path / "shared", OLD) == []
    assert warnings(tmp_path / "native", driver="nouveau") == []
    assert warnings(tmp_path / "same", target="vfio-pci") == []


def test_an_option_that_the_variant_has_itself_is_not_lost(tmp_path: Path) -> None:
    (warning,) = warnings(tmp_path, own="disable_idle_d3")
    assert "loaded with disable_vga:" in warning

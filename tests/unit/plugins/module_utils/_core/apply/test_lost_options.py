# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A function that a variant takes from vfio-pci loses options that the variant does not have, and that is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.tests.unit.module_calls import device_claim
from ansible_collections.vfio.variants.tests.unit.module_files import module_file
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply.model_kernel import ModelKernel
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, NVIDIA_DISPLAY, V100_VARIANT, Tree

GPU = "0000:01:00.0"
VARIANT = "nvlink2gpu_vfio_pci"
NEW, OLD = "7.3.4+deb13-amd64", "6.12.107+deb13-amd64"
GIVEN = "/sys/module/vfio_pci/parameters"


def warnings(
    root: Path,
    release: str = NEW,
    *,
    driver: str = "vfio-pci",
    target: str = "auto",
    check_mode: bool = True,
    loaded: dict[str, str] | None = None,
    known: tuple[str, ...] = (),
    modprobe: str = "",
) -> list[str]:
    modules = {"nouveau": [NVIDIA_DISPLAY], "vfio-pci": [ANY_VFIO], VARIANT: [V100_VARIANT]}
    tree = Tree(root).kernel(release, modules, running=True).pci(GPU, driver=driver, group=15)
    tree.file(f"{GIVEN}/disable_idle_d3", "Y\n").file(f"{GIVEN}/nointxmask", "N\n").file(f"{GIVEN}/disable_vga", "Y\n")
    tree.file("/etc/modprobe.d/options.conf", modprobe)
    for name, value in (loaded or {}).items():
        tree.file(f"/sys/module/{VARIANT}/parameters/{name}", f"{value}\n")
    if known:
        content = module_file(release, [V100_VARIANT], parmtype="\0parmtype=".join(f"{name}:bool" for name in known))
        tree.file(f"/lib/modules/{release}/kernel/drivers/{VARIANT}.ko", content)
    kernel = ModelKernel(tree, {GPU: "nouveau"}, {"vfio_pci": ["vfio-pci"], VARIANT: [VARIANT], "nouveau": ["nouveau"]})
    found: list[str] = device_claim(kernel, check_mode, devices=GPU, driver=target, timeout=5)["warnings"]
    return found


@pytest.mark.parametrize("check_mode", [True, False])
def test_the_options_that_are_on_are_named_for_the_function_that_loses_them(tmp_path: Path, check_mode: bool) -> None:
    (warning,) = warnings(tmp_path, check_mode=check_mode)
    assert warning == (
        f"{GPU} is taken from vfio-pci, which was loaded with disable_idle_d3 and disable_vga: since Linux 7.2 the options of vfio-pci are "
        f"its own. {VARIANT} has no option disable_idle_d3 and disable_vga."
    )


def test_nothing_is_said_where_nothing_is_lost(tmp_path: Path) -> None:
    assert warnings(tmp_path / "shared", OLD) == []
    assert warnings(tmp_path / "native", driver="nouveau") == []
    assert warnings(tmp_path / "same", target="vfio-pci") == []


def test_an_option_that_the_variant_has_and_that_is_on_is_not_lost(tmp_path: Path) -> None:
    (warning,) = warnings(tmp_path / "one", loaded={"disable_idle_d3": "Y"})
    assert "loaded with disable_vga:" in warning
    assert warning.endswith(f"{VARIANT} has no option disable_vga.")
    assert warnings(tmp_path / "both", loaded={"disable_idle_d3": "Y", "disable_vga": "Y", "nointxmask": "N"}) == []


def test_an_option_that_the_variant_has_and_that_is_off_is_lost_and_can_be_given(tmp_path: Path) -> None:
    (warning,) = warnings(tmp_path, loaded={"disable_idle_d3": "N", "disable_vga": "Y"})
    assert "loaded with disable_idle_d3:" in warning
    assert warning.endswith(f"Add `options {VARIANT} disable_idle_d3=1` to a file in /etc/modprobe.d, and load {VARIANT} again.")


@pytest.mark.parametrize(
    ("line", "lost"),
    [
        ("", "disable_idle_d3 and disable_vga"),
        (f"options {VARIANT} disable_idle_d3=1 disable-vga=y\n", ""),
        (f"options {VARIANT} disable_idle_d3 disable_vga=0\n", "disable_vga"),
        ("options vfio-pci disable_idle_d3=1\n", "disable_idle_d3 and disable_vga"),
    ],
)
def test_a_variant_that_is_not_loaded_will_have_what_modprobe_gives_it(tmp_path: Path, line: str, lost: str) -> None:
    found = warnings(tmp_path, known=("disable_idle_d3", "disable_vga", "nointxmask"), modprobe=line)
    assert [f"loaded with {lost}:" in warning for warning in found] == ([True] if lost else [])


def test_an_option_that_the_variant_does_not_know_is_lost_whatever_modprobe_gives_it(tmp_path: Path) -> None:
    (warning,) = warnings(tmp_path, known=("nvlink",), modprobe=f"options {VARIANT} disable_idle_d3=1 disable_vga=1\n")
    assert warning.endswith(f"{VARIANT} has no option disable_idle_d3 and disable_vga.")

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `device_claim` says about the next boot when it returns a device."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.tests.unit import boot_menus
from ansible_collections.vfio.variants.tests.unit.driver_files import Driver, Entry, driver_file
from ansible_collections.vfio.variants.tests.unit.module_calls import device_claim
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply.model_kernel import ModelKernel
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_13, NVIDIA_DISPLAY, Tree

GPU = "0000:3b:00.0"
RULES = "/etc/udev/rules.d/70-gpu.rules"
OVERRIDE = f'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="{GPU}", ATTR{{driver_override}}="vfio-pci", RUN{{builtin}}+="kmod load vfio-pci"\n'


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A host without an initramfs whose card is bound to vfio-pci."""
    tree = Tree(tmp_path).systemd().kernel(DEBIAN_13, {"nouveau": [NVIDIA_DISPLAY], "vfio-pci": [ANY_VFIO]}, running=True)
    for name, entry, alias in (("nouveau", Entry(0x10DE, 0x1DB1), NVIDIA_DISPLAY), ("vfio-pci", Entry(override=1), ANY_VFIO)):
        file = driver_file(DEBIAN_13, [Driver(name.encode(), (entry,))], aliases=[alias])
        tree.file(f"/lib/modules/{DEBIAN_13}/kernel/drivers/{name}.ko", file)
    tree.file("/boot/grub/grub.cfg", boot_menus.debian_grub([DEBIAN_13])).cmdline(boot_menus.ROOT)
    return tree.pci(GPU, driver="vfio-pci", group=15)


def returned(tree: Tree, check_mode: bool = False) -> tuple[str | None, list[str]]:
    """What takes the device again, and the warnings."""
    kernel = ModelKernel(tree, {GPU: "nouveau"}, {"nouveau": ["nouveau"], "vfio-pci": ["vfio-pci"]})
    result = device_claim(kernel, check_mode, devices=GPU, state="absent", timeout=5)
    (device,) = result["devices"]
    assert device["driver"] == ("nouveau" if not check_mode else device["driver"])
    return device["reclaimed_by"], result.get("warnings", [])


def test_a_policy_that_takes_the_device_again_is_named(tree: Tree) -> None:
    reason, warnings = returned(tree.file(RULES, OVERRIDE))
    assert reason == f"{RULES}:1: driver_override=vfio-pci"
    (warning,) = warnings
    assert f"The next boot binds {GPU} to vfio-pci again ({reason})" in warning or f"may bind {GPU} to vfio-pci again" in warning


def test_a_prediction_names_it_without_a_warning_because_the_policy_may_be_removed_next(tree: Tree) -> None:
    assert returned(tree.file(RULES, OVERRIDE), check_mode=True) == (f"{RULES}:1: driver_override=vfio-pci", [])


def test_without_a_policy_nothing_takes_it_again(tree: Tree) -> None:
    assert returned(tree) == (None, [])


def test_what_cannot_be_read_of_the_next_boot_is_not_a_failure(tree: Tree) -> None:
    tree.file(RULES, OVERRIDE).directory("/boot/grub/grub.cfg.d")
    tree.place("/boot/grub/grub.cfg").unlink()
    tree.directory("/boot/grub/grub.cfg")
    returned(tree)

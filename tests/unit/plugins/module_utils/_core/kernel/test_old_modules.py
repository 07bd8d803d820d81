# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VFIO driver of which another version runs than is installed is named: what was fixed in it is not there before it is loaded again."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.loaded_modules import warning_of
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.old_modules import old_in_use
from ansible_collections.vfio.variants.tests.unit.module_files import module_file
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_12, DEBIAN_13, V100_VARIANT, Tree


def machine(root: Path, loaded: t.Mapping[str, str], running: str = DEBIAN_13) -> Tree:
    """Both drivers are installed with the sources `NEW`; ``loaded`` are the sources of those that are loaded."""
    modules = {"vfio_pci": [ANY_VFIO], "variant": [V100_VARIANT]}
    tree = Tree(root).kernel(DEBIAN_12, modules).kernel(DEBIAN_13, modules).running(running)
    for name, aliases in modules.items():
        tree.file(f"/lib/modules/{DEBIAN_13}/kernel/drivers/{name}.ko", module_file(DEBIAN_13, aliases, srcversion="NEW"))
    for name, source in loaded.items():
        tree.module(name).file(f"/sys/module/{name}/srcversion", f"{source}\n")
    return tree


def old(tree: Tree) -> tuple[str, ...]:
    host = tree.host()
    return old_in_use(host, [Kernel.read(host, release) for release in (DEBIAN_12, DEBIAN_13)])


@pytest.mark.parametrize(
    ("loaded", "named"),
    [
        ({}, ()),
        ({"variant": "NEW", "vfio_pci": "NEW"}, ()),
        ({"variant": "OLD", "vfio_pci": "NEW"}, ("variant",)),
        ({"vfio_pci": "OLD", "variant": "OLD"}, ("variant", "vfio_pci")),
    ],
)
def test_drivers_of_other_sources_than_the_installed_ones_are_named(
    tmp_path: Path, loaded: t.Mapping[str, str], named: tuple[str, ...]
) -> None:
    assert old(machine(tmp_path, loaded)) == named


def test_one_whose_file_is_gone_or_damaged_is_not_judged(tmp_path: Path) -> None:
    tree = machine(tmp_path, {"variant": "OLD", "vfio_pci": "OLD"})
    tree.place(f"/lib/modules/{DEBIAN_13}/kernel/drivers/variant.ko").unlink()
    tree.file(f"/lib/modules/{DEBIAN_13}/kernel/drivers/vfio_pci.ko", b"damaged")
    assert old(tree) == ()


def test_a_kernel_that_does_not_run_has_loaded_nothing(tmp_path: Path) -> None:
    assert old(machine(tmp_path, {"variant": "OLD"}, "6.99.0-of-somebody")) == ()


def test_what_a_person_is_told_names_the_driver_and_the_way_to_the_installed_one() -> None:
    assert "another version of variant than is installed" in warning_of("variant")
    assert "loaded again, or after a reboot" in warning_of("variant")

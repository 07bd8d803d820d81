# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a removed package must not leave in a kernel's module tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.paths import DkmsPaths
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.stale_modules import check_forgotten, check_removed, module_files
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, V100_VARIANT, Tree

HERE = f"/lib/modules/{DEBIAN_12}"
FOLDER = f"{HERE}/updates/dkms"


def forgotten(tree: Tree) -> None:
    check_forgotten(tree.host(), DkmsPaths(), DEBIAN_12, ["gpu-vfio-pci"])


def test_a_module_is_found_by_its_name_whatever_its_suffix_and_spelling(tmp_path: Path) -> None:
    names = ("gpu-vfio-pci.ko", "gpu_vfio_pci.ko", "gpu_vfio_pci.ko.gz", "gpu_vfio_pci.ko.xz", "gpu_vfio_pci.ko.zst")
    others = ("gpu_vfio_pci_extra.ko", "gpu_vfio_pci.ko.txt")
    tree = Tree(tmp_path).file(f"{HERE}/kernel/gpu_vfio_pci.ko")
    for name in (*names, *others):
        tree.file(f"{FOLDER}/{name}")
    found = module_files(tree.host(), DkmsPaths(), "gpu", DEBIAN_12, ["gpu_vfio_pci"])
    assert found == tuple(f"{FOLDER}/{name}" for name in names)


def test_a_file_that_is_left_is_an_error(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file(f"{FOLDER}/gpu_vfio_pci.ko.xz")
    with pytest.raises(HostError, match=r"updates/dkms/gpu_vfio_pci\.ko\.xz still exists"):
        check_removed(tree.host(), DkmsPaths(), "gpu", DEBIAN_12, ["gpu_vfio_pci"])
    check_removed(tree.host(), DkmsPaths(), "gpu", DEBIAN_12, ["gpu"])


def test_a_module_that_depmod_still_lists_is_an_error(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_12, {"updates/dkms/gpu_vfio_pci": []})
    forgotten(tree)
    tree.host().remove(f"{FOLDER}/gpu_vfio_pci.ko")
    with pytest.raises(HostError, match="still name the module gpu_vfio_pci"):
        forgotten(tree)


def test_an_alias_of_a_module_that_is_nowhere_is_an_error(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_12, {"nouveau": ["pci:*"]})
    forgotten(tree)
    tree.file(f"{HERE}/modules.alias", f"# Aliases\nalias {V100_VARIANT} gpu_vfio_pci\n")
    with pytest.raises(HostError, match="still name the module gpu_vfio_pci"):
        forgotten(tree)


def test_the_kernels_own_module_of_that_name_keeps_its_aliases(tmp_path: Path) -> None:
    forgotten(Tree(tmp_path).kernel(DEBIAN_12, {"gpu-vfio-pci": [V100_VARIANT]}))


def test_a_kernel_of_which_only_the_folder_is_left_names_nothing(tmp_path: Path) -> None:
    forgotten(Tree(tmp_path).directory(HERE))

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option `kernels` names kernels that are there, each once."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.choice import chosen_releases
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, Tree


def two_kernels(root: Path) -> Tree:
    return Tree(root).kernel(DEBIAN_12, running=True).kernel(DEBIAN_13)


def test_all_means_every_installed_kernel(tmp_path: Path) -> None:
    assert chosen_releases(two_kernels(tmp_path).host(), ["all"]) == (DEBIAN_12, DEBIAN_13)


def test_running_and_the_same_kernel_by_name_are_one(tmp_path: Path) -> None:
    assert chosen_releases(two_kernels(tmp_path).host(), ["running", DEBIAN_12]) == (DEBIAN_12,)


def test_a_kernel_without_modules_is_refused_even_while_it_runs(tmp_path: Path) -> None:
    tree = two_kernels(tmp_path).running("6.18.44-custom")

    with pytest.raises(HostError, match=r"^kernels: kernel 6\.18\.44-custom is not installed\. Installed are 6\.1\.0-50-amd64, 6\.12"):
        chosen_releases(tree.host(), ["running"])


def test_a_host_without_kernels_says_so(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="No kernel is installed"):
        chosen_releases(Tree(tmp_path).host(), [DEBIAN_13])

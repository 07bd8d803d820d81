# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the table of kernels' options says is what their configurations say."""

from __future__ import annotations

import dataclasses

import kernel_options
from kernel_offers import Archive, Deb
from kernel_options import Configured, read_config

CDEV = "CONFIG_VFIO_PCI_CORE=m\nCONFIG_IOMMUFD=m\nCONFIG_VFIO_DEVICE_CDEV=y\nCONFIG_MLX5_VFIO_PCI=m\nCONFIG_FB=y\n"
WITHOUT = "CONFIG_VFIO_PCI_CORE=m\n# CONFIG_IOMMUFD is not set\n# CONFIG_MLX5_VFIO_PCI is not set\n"
DEB = Deb("linux-config-6.12", "6.12.90-1", "trixie", "amd64", "", "", "")


def test_an_option_is_on_as_a_module_or_as_a_part_of_the_kernel_and_no_other_is_of_interest() -> None:
    assert read_config(CDEV) == {"CONFIG_VFIO_PCI_CORE", "CONFIG_IOMMUFD", "CONFIG_VFIO_DEVICE_CDEV", "CONFIG_MLX5_VFIO_PCI"}
    assert read_config(WITHOUT) == {"CONFIG_VFIO_PCI_CORE"}


def test_kernels_with_the_same_answers_are_one_row() -> None:
    plain, cloud, other = (
        Configured("trixie", "6.12.1-1", "amd64", flavour, read_config(text))
        for flavour, text in (("amd64", WITHOUT), ("cloud-amd64", WITHOUT), ("rt-amd64", CDEV))
    )
    assert kernel_options.rows([plain, other, cloud]) == [
        "| trixie | 6.12.1-1 | amd64 | amd64, cloud-amd64 | no: without IOMMUFD and VFIO_DEVICE_CDEV | none |",
        "| trixie | 6.12.1-1 | amd64 | rt-amd64 | yes | `mlx5` |",
    ]


def test_of_each_series_of_a_suite_the_newest_is_read() -> None:
    newer, other = dataclasses.replace(DEB, version="6.12.101-1"), dataclasses.replace(DEB, package="linux-config-7.3", suite="sid")
    source = dataclasses.replace(DEB, package="linux-source-6.12", version="6.12.200-1")
    assert kernel_options.newest(Archive((other, DEB, newer, source), ())) == [newer, other]

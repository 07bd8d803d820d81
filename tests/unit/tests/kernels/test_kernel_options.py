# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the table of kernels' options says is what their configurations say."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import kernel_options
import kernel_options_command
import other_kernels
from kernel_offers import Archive, Deb
from kernel_options import Configured, read_config
from own_variants import PAGE

from ansible_collections.vfio.variants.tests import marked_page

CDEV = "CONFIG_VFIO_PCI_CORE=m\nCONFIG_IOMMUFD=m\nCONFIG_VFIO_DEVICE_CDEV=y\nCONFIG_MLX5_VFIO_PCI=m\nCONFIG_FB=y\n"
WITHOUT = "CONFIG_VFIO_PCI_CORE=m\n# CONFIG_IOMMUFD is not set\n# CONFIG_MLX5_VFIO_PCI is not set\n"
NO = "no: without IOMMUFD and VFIO_DEVICE_CDEV"
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


def test_a_kernel_of_another_distribution_is_what_its_configuration_says_with_the_place_it_was_read_from(tmp_path: Path) -> None:
    place, file = tmp_path / "known.json", tmp_path / "config"
    for architecture, text in (("x86_64", WITHOUT), ("aarch64", WITHOUT), ("x86_64", CDEV)):
        file.write_text(text, encoding="utf-8")
        other_kernels.add(("Fedora", "7.1.7-100", architecture, f"https://x/blob/1/{architecture}.config", str(file)), place)
    assert other_kernels.rows(other_kernels.known(place)) == [
        f"| Fedora | 7.1.7-100 | aarch64 | {NO} | none | [aarch64.config](https://x/blob/1/aarch64.config) |",
        "| Fedora | 7.1.7-100 | x86_64 | yes | `mlx5` | [x86_64.config](https://x/blob/1/x86_64.config) |",
    ]


def test_what_a_configuration_asks_for_and_the_architecture_cannot_have_is_left_out(tmp_path: Path) -> None:
    place, file = tmp_path / "known.json", tmp_path / "config"
    file.write_text(CDEV + "CONFIG_ISM_VFIO_PCI=m\nCONFIG_QAT_VFIO_PCI=m\n", encoding="utf-8")
    for architecture in ("aarch64", "x86_64"):
        other_kernels.add(("Fedora", "7.1.7-100", architecture, "https://x/y", str(file)), place)
    assert [one.configured.variants for one in other_kernels.known(place)] == ["`mlx5`", "`mlx5`, `qat`"]


def test_the_page_has_the_kernels_that_are_known_and_each_address_has_a_commit_in_it() -> None:
    known = other_kernels.known()
    assert all(re.match(r"https://github\.com/[\w.-]+/[\w.-]+/blob/[0-9a-f]{40}/", one.address) for one in known)
    shown = marked_page.parted(PAGE.read_text(encoding="utf-8"), *kernel_options_command.OTHERS)[1]
    assert shown.strip() == kernel_options_command.table(other_kernels.HEAD, other_kernels.rows(known))

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Source packages on the controller."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.source_tree import digest, unpack
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils.source_archive import SourceArchive, own_package


def test_the_collections_own_package_is_found_by_its_name() -> None:
    folder = own_package("vfio-variants")
    assert folder is not None
    archive = SourceArchive.read(folder)
    assert 'PACKAGE_NAME="vfio-variants"' in archive.conf
    assert "nvlink2gpu_vfio_pci" in (archive.manifest or "")


@pytest.mark.parametrize("name", ["vfio-variants/", "./vfio-variants", "other", "..", ""])
def test_nothing_else_is_an_own_package(name: str) -> None:
    assert own_package(name) is None


def test_the_archive_has_the_digest_that_was_announced(tmp_path: Path) -> None:
    (tmp_path / "dkms.conf").write_text("PACKAGE_NAME=x\n")
    archive = SourceArchive.read(tmp_path)
    assert digest(unpack(archive.pack())) == archive.digest
    assert archive.manifest is None


def test_a_folder_that_is_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/dkms.conf").write_text("")
    (tmp_path / "link").symlink_to("real")
    assert SourceArchive.read(tmp_path / "link").digest == SourceArchive.read(tmp_path / "real").digest


def test_a_folder_without_dkms_conf_is_named(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"there is no .*/dkms\.conf on the controller"):
        SourceArchive.read(tmp_path)

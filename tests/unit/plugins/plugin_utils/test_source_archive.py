# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Source packages on the controller."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ansible import constants

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.source_tree import digest, unpack
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils.own_package import own_package
from ansible_collections.vfio.variants.plugins.plugin_utils.source_archive import SourceArchive, archive_of_run, described


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


class TestOfOneRun:
    @pytest.fixture(autouse=True)
    def _run_of_its_own(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "run").mkdir()
        monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path / "run"))

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine/dkms.conf").write_text('PACKAGE_NAME="mine"\n', encoding="ascii")
        return tmp_path / "mine"

    def test_all_hosts_get_the_description_and_the_file_that_the_first_one_made(self, folder: Path) -> None:
        package = described("mine", folder)
        archive = archive_of_run(folder, package["digest"])
        assert package == {"source": "mine", "digest": SourceArchive.read(folder).digest, "conf": 'PACKAGE_NAME="mine"\n', "manifest": None}
        assert Path(archive).read_bytes() == SourceArchive.read(folder).pack()
        shutil.rmtree(folder)
        assert described("mine", folder) == package
        assert archive_of_run(folder, package["digest"]) == archive

    def test_sources_that_change_while_it_goes_on_are_not_sent(self, folder: Path) -> None:
        package = described("mine", folder)
        (folder / "mine.c").write_text("int x;\n", encoding="ascii")
        with pytest.raises(HostError, match="was changed while the run went on"):
            archive_of_run(folder, package["digest"])

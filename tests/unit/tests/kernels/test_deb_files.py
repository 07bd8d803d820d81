# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single packages, fetched from an archive on the loopback device and unpacked."""

from __future__ import annotations

import hashlib
import io
import tarfile
import typing as t
from pathlib import Path

import deb_files
import pytest
from kernel_offers import Deb

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed import unavailable
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.unavailable import ArchiveUnavailableError
from ansible_collections.vfio.variants.tests.unit.archives import DebianArchive, served


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(unavailable, "PAUSES", (0.0,))


@pytest.fixture
def archive(tmp_path: Path) -> DebianArchive:
    (tmp_path / "out").mkdir()
    return DebianArchive(tmp_path / "archive")


def deb(path: Path, address: str, archive: DebianArchive) -> Deb:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Deb(path.name.partition("_")[0], "1.0", "trixie", "amd64", "", f"{address}/{path.relative_to(archive.folder)}", digest)


def quietly(_line: str) -> None:
    """What is said does not matter here."""


def test_a_package_is_unpacked_and_a_link_in_the_place_of_a_folder_stays(tmp_path: Path, archive: DebianArchive) -> None:
    path = archive.add("kernel", files={"lib/modules/6.12/build": "headers"})
    (tmp_path / "out/usr/lib").mkdir(parents=True)
    (tmp_path / "out/lib").symlink_to("usr/lib")
    with served(archive.folder) as address:
        deb_files.unpack(deb(path, address, archive), tmp_path / "out", quietly)
    assert (tmp_path / "out/usr/lib/modules/6.12/build").read_text(encoding="utf-8") == "headers"
    assert (tmp_path / "out/lib").is_symlink()


def test_only_the_members_that_are_asked_for_are_unpacked(tmp_path: Path, archive: DebianArchive) -> None:
    path = archive.add("sparse", files={"usr/bin/sparse": "one", "usr/bin/sparse-llvm": "two"})
    with served(archive.folder) as address:
        deb_files.unpack(deb(path, address, archive), tmp_path / "out", quietly, "./usr/bin/sparse")
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["sparse"]


def test_an_archive_within_a_package_is_read_no_further_than_need_be(tmp_path: Path, archive: DebianArchive) -> None:
    """What comes after the last member that is wanted is many times what a pipe holds."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz", preset=0) as inner:
        for name, content in {"linux-source/scripts/checkpatch.pl": b"perl", "linux-source/zero": bytes(8 << 20)}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            inner.addfile(member, io.BytesIO(content))
    path = archive.add("linux-source", files={"usr/src/linux-source.tar.xz": packed.getvalue()})
    with served(archive.folder) as address:
        source = deb(path, address, archive)
        deb_files.unpack_inner(source, "./usr/src/linux-source.tar.xz", tmp_path / "out", quietly, "linux-source/scripts/checkpatch.pl")
    assert [str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*")] == ["checkpatch.pl"]


def _gone(path: Path) -> None:
    path.unlink()


def _changed(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"1.0", b"9.9"))


@pytest.mark.parametrize(("spoil", "reason"), [(_gone, "404"), (_changed, "Hash Sum mismatch")])
def test_a_package_that_is_gone_or_changed_is_the_archives_fault(
    tmp_path: Path, archive: DebianArchive, spoil: t.Callable[[Path], None], reason: str
) -> None:
    path = archive.add("kernel")
    with served(archive.folder) as address:
        wanted = deb(path, address, archive)
        spoil(path)
        with pytest.raises(ArchiveUnavailableError, match=rf"^archive unavailable: kernel 1\.0 \({reason}"):
            deb_files.unpack(wanted, tmp_path / "out", quietly)


def test_a_package_that_arrived_as_promised_and_is_broken_is_not(tmp_path: Path, archive: DebianArchive) -> None:
    path = archive.add("kernel", files={"usr/src/long": "word " * 9999})
    path.write_bytes(path.read_bytes()[:9000])
    with served(archive.folder) as address, pytest.raises(HostError, match="cannot be unpacked") as caught:
        deb_files.unpack(deb(path, address, archive), tmp_path / "out", quietly)
    assert not isinstance(caught.value, ArchiveUnavailableError)

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees unpacked by mmdebstrap from an archive that lacks something."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import root_tree, unavailable
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.suite import Suite
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import (
    ArchiveUnavailableError,
    is_replaced,
    named_in,
)
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine import qemu_program
from ansible_collections.vfio.variants.tests.unit.archives import DebianArchive, served


@pytest.fixture(autouse=True)
def local_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody signs a test's archive."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(unavailable, "PAUSES", (0.0,))
    monkeypatch.setattr(Suite, "sources", lambda suite, mirror: f"deb [trusted=yes] {mirror} {suite.name} main\n")


@pytest.fixture
def archive(tmp_path: Path) -> DebianArchive:
    made = DebianArchive(tmp_path / "archive")
    made.add("beta", "1.0")
    made.add("beta", "2.0")
    made.publish()
    return made


def extract(archive: DebianArchive, tree: Path, *packages: str) -> list[str]:
    """What it says, while it unpacks packages."""
    said: list[str] = []
    with served(archive.folder) as address:
        root_tree.extract(Suite("trixie"), address, packages, tree, Progress("tree", said.append), 120)
    return said


def pool(archive: DebianArchive, name: str) -> Path:
    return next((archive.folder / "pool").rglob(name))


def test_what_is_there_is_unpacked_and_nothing_is_missing(tmp_path: Path, archive: DebianArchive) -> None:
    assert named_in(extract(archive, tmp_path / "tree", "beta")) == ()
    assert (tmp_path / "tree/usr/share/beta").read_text(encoding="utf-8") == "2.0"


@pytest.mark.sampled(2)
def test_another_version_that_the_index_names_is_taken_and_both_are_named(tmp_path: Path, archive: DebianArchive) -> None:
    pool(archive, "beta_2.0_amd64.deb").unlink()
    (name,) = named_in(extract(archive, tmp_path / "tree", "beta"))
    assert name.startswith("beta 2.0 (404")
    assert is_replaced(name)
    assert (tmp_path / "tree/usr/share/beta").read_text(encoding="utf-8") == "1.0"
    assert not list((tmp_path / "tree/etc/apt/preferences.d").iterdir())


@pytest.mark.sampled(2)
def test_what_no_version_can_replace_is_the_archives_fault(tmp_path: Path, archive: DebianArchive) -> None:
    for deb in sorted((archive.folder / "pool").rglob("*.deb")):
        deb.unlink()
    with pytest.raises(ArchiveUnavailableError, match=r"^archive unavailable: beta 2\.0 \(404"):
        extract(archive, tmp_path / "tree", "beta")


def test_a_suite_that_vanished_is_the_archives_fault(tmp_path: Path) -> None:
    empty = DebianArchive(tmp_path / "archive")
    empty.folder.mkdir()
    with pytest.raises(ArchiveUnavailableError, match=r"^archive unavailable: the index of trixie"):
        extract(empty, tmp_path / "tree", "beta")


def test_a_package_that_was_delivered_and_cannot_be_unpacked_is_not(tmp_path: Path, archive: DebianArchive) -> None:
    whole = archive.add("cut", "1.0", files={"usr/share/long": "word " * 9999})
    whole.write_bytes(whole.read_bytes()[:9000])
    archive.name_again("cut", whole)
    archive.publish()
    with pytest.raises(HostError) as caught:
        extract(archive, tmp_path / "tree", "cut")
    assert not isinstance(caught.value, ArchiveUnavailableError)


@pytest.mark.sampled(2)
def test_qemu_is_asked_of_every_suite_that_may_have_it(tmp_path: Path, archive: DebianArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu_program, "_of_system", lambda: None)
    for suite in ("trixie-backports", "forky", "sid"):
        for package in ("qemu-utils", "seabios"):
            archive.add(package, suite=suite)
        archive.publish(suite)
    said: list[str] = []
    with served(archive.folder) as address, pytest.raises(ArchiveUnavailableError) as caught:
        qemu_program.provide(Cache(tmp_path / "cache"), lambda: address, said.append)
    assert [str(one) for one in caught.value.missing] == [
        f"qemu-system-x86 (no index names it, in {suite})" for suite in ("trixie-backports", "forky", "sid")
    ]
    assert not list((tmp_path / "cache/qemu").iterdir())


def test_security_updates_have_the_kernels_that_a_release_lost(tmp_path: Path) -> None:
    lines = Suite("trixie").security("http://mirror.example/debian/").split()
    assert [lines[0], *lines[2:]] == ["deb", "http://mirror.example/debian-security", "trixie-security", "main"]
    assert Suite("trixie").without_base("linux-image-*") == ""
    assert "Pin: release n=trixie\nPin-Priority: -1" in Suite("trixie-backports").without_base("linux-image-*")

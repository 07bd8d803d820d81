# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernels for a build root, from an archive that lacks some of them."""

from __future__ import annotations

from pathlib import Path

import kernel_offers
import pytest
from build_root import BuildRoot, Release, add_kernel
from kernel_offers import Archive
from shortages import Shortages

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import unavailable
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.suite import Suite
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import MissingPackage
from ansible_collections.vfio.variants.tests.unit.archives import DebianArchive, served

TRIXIE = Release("trixie", Suite("trixie"), "gcc-14", series=("6.12",), refused=("5.10", "bullseye"))


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(unavailable, "PAUSES", ())


def add_headers(archive: DebianArchive, release: str, suite: str, compiler: str = "gcc-14") -> None:
    depends = f"linux-headers-{release}-common (= 1.0), linux-kbuild-{release}, {compiler}"
    archive.add(
        f"linux-headers-{release}-amd64", suite=suite, depends=depends, files={f"usr/src/linux-headers-{release}-amd64/Makefile": ""}
    )
    archive.add(f"linux-headers-{release}-common", suite=suite, files={f"usr/src/linux-headers-{release}-common/Makefile": ""})
    archive.add(f"linux-kbuild-{release}", suite=suite)


@pytest.fixture
def archive(tmp_path: Path) -> DebianArchive:
    made = DebianArchive(tmp_path / "archive")
    add_headers(made, "6.12.107+deb13", "trixie")
    add_headers(made, "6.12.117+deb13", "trixie")
    add_headers(made, "6.12.118+deb13", "trixie-security")
    add_headers(made, "6.12.95+deb12", "bookworm-backports", "gcc-12")
    add_headers(made, "5.10.0-32", "bullseye", "gcc-10")
    return made


@pytest.fixture
def root(tmp_path: Path) -> BuildRoot:
    (tmp_path / "root/tree").mkdir(parents=True)
    (tmp_path / "root/kernels").mkdir()
    return BuildRoot(tmp_path / "root")


def offered(archive: DebianArchive, address: str) -> Archive:
    """What the suites' indexes say."""
    indexes = (archive.folder / "dists").glob("*/main/binary-amd64/Packages")
    found = [(path.parents[2].name, path.read_text(encoding="utf-8")) for path in sorted(indexes)]
    return Archive(tuple(deb for suite, text in found for deb in kernel_offers.parse(text, suite, "amd64", address)), ())


def unpacked(root: BuildRoot, archive: DebianArchive, series: str = "6.12") -> tuple[str | None, list[str]]:
    """The kernel that was taken, and what was missing."""
    with served(archive.folder) as address:
        offer = add_kernel(root, TRIXIE.candidates(offered(archive, address), series), series, lambda _line: None)
    return (offer.release if offer else None), [one.name for one in root.shortages.of(series)]


def lose(archive: DebianArchive, *names: str) -> None:
    for name in names:
        next((archive.folder / "pool").rglob(f"{name}_1.0_amd64.deb")).unlink()


def test_the_newest_kernel_of_the_release_is_taken(root: BuildRoot, archive: DebianArchive) -> None:
    assert unpacked(root, archive) == ("6.12.117+deb13-amd64", [])
    assert root.kernels("6.12") == ["6.12.117+deb13-amd64"]
    assert root.suite_of("6.12.117+deb13-amd64") == "trixie"
    assert (root.tree / "usr/src/linux-headers-6.12.117+deb13-common").is_dir()


def test_an_older_one_of_the_release_comes_next(root: BuildRoot, archive: DebianArchive) -> None:
    lose(archive, "linux-kbuild-6.12.117+deb13")
    assert unpacked(root, archive) == ("6.12.107+deb13-amd64", ["linux-kbuild-6.12.117+deb13"])
    assert root.kernels("6.12") == ["6.12.107+deb13-amd64"]


def test_then_one_of_another_suite_that_the_same_compiler_built(root: BuildRoot, archive: DebianArchive) -> None:
    lose(archive, "linux-headers-6.12.117+deb13-common", "linux-headers-6.12.107+deb13-amd64")
    release, missing = unpacked(root, archive)
    assert release == "6.12.118+deb13-amd64"
    assert root.suite_of(release) == "trixie-security"
    assert missing == ["linux-headers-6.12.117+deb13-common", "linux-headers-6.12.107+deb13-amd64"]


def test_a_series_of_which_nothing_can_be_had_is_noted(root: BuildRoot, archive: DebianArchive) -> None:
    lose(archive, *(f"linux-kbuild-6.12.{patch}+deb13" for patch in (107, 117, 118)))
    release, missing = unpacked(root, archive)
    assert release is None
    assert len(missing) == 3
    assert root.kernels("6.12") == []


def test_a_suite_that_vanished_leaves_a_note_too(root: BuildRoot, archive: DebianArchive) -> None:
    (archive.folder / "dists/bullseye/main/binary-amd64/Packages").unlink()
    assert unpacked(root, archive, "5.10") == (None, ["a kernel 5.10"])


def test_a_kernel_that_is_to_be_refused_needs_no_compiler(root: BuildRoot, archive: DebianArchive) -> None:
    assert unpacked(root, archive, "5.10") == ("5.10.0-32-amd64", [])


def test_what_is_noted_stands_until_it_is_noted_again(tmp_path: Path) -> None:
    shortages = Shortages(tmp_path / "shortages.json")
    assert not shortages.are_recent
    assert shortages.of("6.12") == []
    shortages.note("6.12", [MissingPackage("linux", "404", "6.12.117-1", "linux")])
    shortages.note("7.2", [])
    assert Shortages(tmp_path / "shortages.json").of("6.12") == [MissingPackage("linux", "404", "6.12.117-1", "linux")]
    assert shortages.are_recent
    shortages.note("6.12", [])
    assert shortages.of("6.12") == []

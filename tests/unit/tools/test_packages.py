# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make setup` installs from an archive that lacks something."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import unavailable
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import ArchiveUnavailableError, named_in
from ansible_collections.vfio.variants.tests.unit.archives import DebianArchive, served
from devtool import packages
from devtool.errors import DevtoolError

SETTINGS = """
Dir::State "{0}"; Dir::State::lists "{0}/lists"; Dir::State::status "{0}/status"; Dir::Cache "{0}/cache"; Dir::Log "{0}";
Dir::Etc::sourcelist "{0}/sources.list"; Dir::Etc::sourceparts "/dev/null"; Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "amd64"; APT::Sandbox::User "root"; APT::Get::Download-Only "true"; Acquire::Languages "none";
"""


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DebianArchive:
    """An archive, and an apt that knows no other, downloads only and has a system of its own."""
    for part in ("lists/partial", "cache/archives/partial"):
        (tmp_path / part).mkdir(parents=True)
    (tmp_path / "status").touch()
    (tmp_path / "apt.conf").write_text(SETTINGS.format(tmp_path), encoding="utf-8")
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(unavailable, "PAUSES", (0.0,))
    made = DebianArchive(tmp_path / "archive")
    made.add("vfio-test-beta", "1.0")
    made.add("vfio-test-beta", "2.0")
    made.publish()
    return made


def install(archive: DebianArchive, place: Path, *names: str) -> set[str]:
    """What was downloaded of these packages."""
    (place / "listing").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    with served(archive.folder) as address:
        (place / "sources.list").write_text(f"deb [trusted=yes arch=amd64] {address} trixie main\n", encoding="utf-8")
        packages.install_missing(place / "listing")
    return {path.name for path in (place / "cache/archives").glob("*.deb")}


def test_a_machine_that_never_asked_for_an_index_asks_for_it(tmp_path: Path, archive: DebianArchive) -> None:
    assert install(archive, tmp_path, "vfio-test-beta") == {"vfio-test-beta_2.0_amd64.deb"}


def test_what_is_missing_is_taken_in_another_version_and_named(
    tmp_path: Path, archive: DebianArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    next((archive.folder / "pool").rglob("*_2.0_*")).unlink()
    assert install(archive, tmp_path, "vfio-test-beta") == {"vfio-test-beta_1.0_amd64.deb"}
    (name,) = named_in(capsys.readouterr().out.splitlines())
    assert name.startswith("vfio-test-beta 2.0 (404")


def test_what_no_version_can_replace_is_the_archives_fault(tmp_path: Path, archive: DebianArchive) -> None:
    with pytest.raises(ArchiveUnavailableError, match=r"^archive unavailable: vfio-test-gamma \(no index names it\)$"):
        install(archive, tmp_path, "vfio-test-beta", "vfio-test-gamma")


def test_an_apt_that_does_not_work_is_not(tmp_path: Path, archive: DebianArchive) -> None:
    (tmp_path / "status").write_text("these are not packages\n", encoding="utf-8")
    with pytest.raises(DevtoolError, match=r"^Debian packages could not be installed: vfio-test-beta"):
        install(archive, tmp_path, "vfio-test-beta")

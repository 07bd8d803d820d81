# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which archive of a machine's apt configuration is Debian's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.apt_sources import main_archive, read_sources

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

DEB822 = f"""\
# what the installer wrote
Types: deb deb-src
# a comment inside a stanza
URIs: http://mirror.example/debian/
Suites: bookworm bookworm-updates
Components: main
  contrib
Signed-By: {KEYRING}

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: {KEYRING}
"""


def write(root: Path, file: str, text: str) -> None:
    path = root / "etc/apt" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def downloaded(root: Path, place: str, origin: str, label: str) -> None:
    path = root / f"var/lib/apt/lists/{place}_InRelease"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: {origin}\nLabel: {label}\n", encoding="utf-8")


def test_the_archive_of_a_deb822_file_is_found(tmp_path: Path) -> None:
    write(tmp_path, "sources.list.d/debian.sources", DEB822)
    assert main_archive(tmp_path, "bookworm") == "http://mirror.example/debian"


def test_continued_fields_and_comments_of_a_stanza_are_understood(tmp_path: Path) -> None:
    write(tmp_path, "sources.list.d/debian.sources", DEB822)
    first = read_sources(tmp_path)[0]
    assert first.components == ("main", "contrib")
    assert first.suites == ("bookworm", "bookworm-updates")


def test_the_archive_of_a_one_line_file_is_found_behind_its_options_and_comment(tmp_path: Path) -> None:
    ignored = "# deb http://old.example/debian bookworm main\ndeb-src http://src.example/debian bookworm main\n"
    line = f"deb [ arch=amd64 signed-by={KEYRING} ] https://mirror.example/pub/debian bookworm main contrib # ours\n"
    write(tmp_path, "sources.list", ignored + line)
    assert main_archive(tmp_path, "bookworm") == "https://mirror.example/pub/debian"


def test_a_third_party_archive_with_debians_suite_name_is_not_taken(tmp_path: Path) -> None:
    write(tmp_path, "sources.list.d/a.list", "deb [signed-by=/etc/apt/keyrings/vendor.gpg] https://vendor.example/debian bookworm main\n")
    write(tmp_path, "sources.list.d/debian.sources", DEB822)
    assert main_archive(tmp_path, "bookworm") == "http://mirror.example/debian"


def test_the_downloaded_release_file_outweighs_every_guess(tmp_path: Path) -> None:
    write(tmp_path, "sources.list", "deb https://looks.example/debian bookworm main\ndeb http://odd.example/pool bookworm main\n")
    downloaded(tmp_path, "looks.example_debian_dists_bookworm", "Vendor", "Vendor")
    downloaded(tmp_path, "odd.example_pool_dists_bookworm", "Debian", "Debian")
    assert main_archive(tmp_path, "bookworm") == "http://odd.example/pool"


def test_an_archive_that_its_release_file_unmasks_is_not_taken_for_want_of_a_better_one(tmp_path: Path) -> None:
    write(tmp_path, "sources.list", "deb https://looks.example/debian bookworm main\n")
    downloaded(tmp_path, "looks.example_debian_dists_bookworm", "Vendor", "Debian")
    with pytest.raises(HostError, match="option mirror"):
        main_archive(tmp_path, "bookworm")


@pytest.mark.parametrize("suite", ["stable", "testing", "sid"])
def test_a_machine_that_follows_an_alias_is_understood(tmp_path: Path, suite: str) -> None:
    write(tmp_path, "sources.list", f"deb http://mirror.example/debian {suite} main\n")
    assert main_archive(tmp_path, "bookworm") == "http://mirror.example/debian"


def test_disabled_entries_and_foreign_files_do_not_count(tmp_path: Path) -> None:
    write(tmp_path, "sources.list.d/debian.sources", "Enabled: no\n" + DEB822.split("\n\n", maxsplit=1)[0])
    write(tmp_path, "sources.list.d/debian.list.bak", "deb http://mirror.example/debian bookworm main\n")
    assert read_sources(tmp_path) == []


def test_a_cdrom_is_not_an_archive_to_build_from(tmp_path: Path) -> None:
    write(tmp_path, "sources.list", "deb cdrom:[Debian]/ bookworm main\n")
    with pytest.raises(HostError, match="Debian main archive"):
        main_archive(tmp_path, "bookworm")


def test_a_machine_without_apt_is_told_to_name_the_archive(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="option mirror"):
        main_archive(tmp_path, "bookworm")

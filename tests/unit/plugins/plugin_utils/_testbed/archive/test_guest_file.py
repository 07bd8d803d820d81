# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files for a guest, as the archive that carries them holds them."""

from __future__ import annotations

import tarfile
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.guest_file import GuestFile, write_archive


def members(tmp_path: Path, *files: GuestFile) -> dict[str, tarfile.TarInfo]:
    archive = tmp_path / "files.tar"
    write_archive(files, archive)
    with tarfile.open(archive) as tar:
        return {member.name: member for member in tar}


def test_files_belong_to_root_and_carry_their_mode(tmp_path: Path) -> None:
    secret = members(tmp_path, GuestFile("/etc/ssh/key", "secret", mode=0o600))["etc/ssh/key"]
    assert (secret.uid, secret.gid, secret.mode, secret.size) == (0, 0, 0o600, 6)


def test_a_masked_unit_is_a_link_to_nothing(tmp_path: Path) -> None:
    unit = members(tmp_path, GuestFile.masked_unit("slow.timer"))["etc/systemd/system/slow.timer"]
    assert unit.issym()
    assert unit.linkname == "/dev/null"


def test_no_folder_is_named_whose_mode_could_change(tmp_path: Path) -> None:
    assert not [member for member in members(tmp_path, GuestFile("/root/.ssh/authorized_keys", "k")).values() if member.isdir()]

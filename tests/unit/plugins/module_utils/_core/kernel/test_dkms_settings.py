# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""DKMS's own configuration: which key it signs modules with, and where they lie."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.dkms_settings import FILE, FOLDER, read_dkms_settings
from ansible_collections.vfio.variants.tests.unit.trees import Tree


def test_the_last_file_that_sets_a_variable_counts(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file(FILE, 'mok_signing_key="/var/lib/dkms/mok.key"\ndkms_tree=/var/lib/dkms\n')
    tree.file(f"{FOLDER}/10-key.conf", "mok_signing_key=/srv/a.key\n").file(f"{FOLDER}/20-key.conf", "mok_signing_key=/srv/b.key\n")
    tree.file(f"{FOLDER}/30-key.txt", "mok_signing_key=/srv/c.key\n").file(f"{FOLDER}/.40-key.conf", "mok_signing_key=/srv/d.key\n")
    assert read_dkms_settings(tree.host(), "mok_signing_key", "dkms_tree", "mok_certificate") == {
        "mok_signing_key": "/srv/b.key",
        "dkms_tree": "/var/lib/dkms",
    }


def test_a_variable_that_a_later_file_sets_to_nothing_has_no_value(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file(FILE, "dkms_tree=/var/lib/dkms\n").file(f"{FOLDER}/a.conf", "dkms_tree=\n")
    assert read_dkms_settings(tree.host(), "dkms_tree") == {}
    assert read_dkms_settings(Tree(tmp_path / "none").host(), "dkms_tree") == {}


def test_a_file_of_remarks_says_nothing_and_a_line_behind_them_counts(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file(FILE, "\n# dkms_tree=/srv/a\n   # more\n")
    assert read_dkms_settings(tree.host(), "dkms_tree") == {}
    tree.file(FILE, "\n# dkms_tree=/srv/a\n  dkms_tree=/srv/b\n")
    assert read_dkms_settings(tree.host(), "dkms_tree") == {"dkms_tree": "/srv/b"}

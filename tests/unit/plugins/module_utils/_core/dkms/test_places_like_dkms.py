# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where DKMS has its files, by its own program."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms import tree
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.paths import DkmsPaths
from ansible_collections.vfio.variants.tests.unit.sources import PROGRAMS
from ansible_collections.vfio.variants.tests.unit.trees import Tree

DKMS = "dkms-3.0/usr/sbin/dkms"


def test_the_folders_are_those_that_dkms_has_without_a_setting(tmp_path: Path) -> None:
    usual = dict(re.findall(r'^(dkms_tree|source_tree|install_tree)="([^"]+)"$', PROGRAMS.text(DKMS), re.MULTILINE))
    paths = DkmsPaths.read(Tree(tmp_path).host())
    assert (paths.tree, paths.source, paths.install) == (usual["dkms_tree"], usual["source_tree"], usual["install_tree"])


def test_settings_are_read_from_the_files_that_dkms_reads_in_its_order(tmp_path: Path) -> None:
    (files,) = re.findall(r"for i in (/etc/dkms/\S+) (/etc/dkms/\S+); do", PROGRAMS.text(DKMS, "read_framework_conf() {", "\n}"))
    assert files == ("/etc/dkms/framework.conf", "/etc/dkms/framework.conf.d/*.conf")
    host = Tree(tmp_path).file(files[0], 'dkms_tree="/a"\nsource_tree="/b"\n')
    paths = DkmsPaths.read(host.file(files[1].replace("*", "own"), 'dkms_tree="/c"\n').host())
    assert (paths.tree, paths.source) == ("/c", "/b")
    # What a later file sets to nothing is not set, and DKMS takes its own place.
    reset = host.file(files[1].replace("*", "z"), 'dkms_tree=""\n').host()
    assert DkmsPaths.read(reset).tree == DkmsPaths.read(Tree(tmp_path / "x").host()).tree


def test_names_in_a_version_s_folder_beside_kernels_are_those_that_dkms_leaves_out() -> None:
    (names,) = re.findall(r'grep -Eqv "\(([\w|]+)\)\$"', PROGRAMS.text(DKMS))
    assert set(names.split("|")) == tree.NOT_KERNELS

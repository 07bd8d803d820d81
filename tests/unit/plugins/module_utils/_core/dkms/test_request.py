# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a package is wanted to be, from the module's options and the sources, or why it is refused."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.module_check import ExpectedModule, parse_manifest
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import WantedPackage, read_wanted
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.modules import dkms_package
from ansible_collections.vfio.variants.tests.unit.module_calls import options_of
from ansible_collections.vfio.variants.tests.unit.trees import Tree

CONF = "PACKAGE_NAME=gpu\nPACKAGE_VERSION=1.0\n"
SENT = {"source": "gpu", "_run": {"digest": "d1", "conf": CONF}}


def wanted(tree: Tree, **options: t.Any) -> WantedPackage:
    return read_wanted(tree.host(), dkms_package.request(options_of(dkms_package.ARGUMENTS, **options)))


def test_name_and_version_come_from_the_sources(tmp_path: Path) -> None:
    made = wanted(Tree(tmp_path), **SENT)
    assert (made.name, made.version, made.level) == ("gpu", "1.0", "installed")


def test_absence_means_every_version_unless_one_is_named(tmp_path: Path) -> None:
    assert wanted(Tree(tmp_path), **SENT, state="absent").version is None
    assert wanted(Tree(tmp_path), **SENT, state="absent", version="0.9").version == "0.9"


def test_options_that_contradict_the_sources_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"version: 2\.0 was asked for, but gpu/dkms\.conf says 1\.0"):
        wanted(Tree(tmp_path), **SENT, version="2.0")


def test_options_say_what_only_running_the_file_would_tell(tmp_path: Path) -> None:
    made = wanted(Tree(tmp_path), source="gpu", _run={"digest": "d1", "conf": 'PACKAGE_NAME="$(pwd)"'}, name="gpu", version="3.0")
    assert (made.name, made.version) == ("gpu", "3.0")


@pytest.mark.parametrize("option", ["name", "version"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(HostError, match=rf"{option} is '\.\./etc'"):
        wanted(Tree(tmp_path), **{"name": "gpu", "version": "1.0", option: "../etc"})


def test_without_sources_a_name_is_needed(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="name: without source"):
        wanted(Tree(tmp_path))


def test_sources_on_the_controller_need_the_action_plugin(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="only the module's action plugin"):
        wanted(Tree(tmp_path), source="gpu")


def test_sources_on_the_host_are_read_there(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/opt/gpu/dkms.conf", CONF).file("/opt/gpu/modules.json", '{"modules": [{"name": "gpu"}]}')
    made = wanted(tree, source="/opt/gpu", remote_src=True)
    assert made.source is not None
    assert made.source.files is not None
    assert (made.name, made.source.expected, len(made.source.files())) == ("gpu", (ExpectedModule("gpu"),), 2)
    with pytest.raises(HostError, match=r"there is no /opt/other/dkms\.conf on this host"):
        wanted(tree, source="/opt/other", remote_src=True)


def test_the_option_modules_takes_the_manifests_place(tmp_path: Path) -> None:
    made = wanted(Tree(tmp_path), **SENT, modules=[{"name": "gpu", "aliases": ["pci:v1"]}])
    assert made.expected == (ExpectedModule("gpu", ("pci:v1",)),)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"modules": ["gpu"]}', '{"modules": [{"aliases": []}]}', '{"modules": [{"name": 1}]}'])
def test_a_manifest_that_is_none_is_named(text: str) -> None:
    with pytest.raises(HostError, match=r"gpu/modules\.json is no list of modules"):
        parse_manifest(text, "gpu/modules.json")

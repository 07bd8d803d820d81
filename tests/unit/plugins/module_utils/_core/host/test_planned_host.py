# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host is read as it will be, and stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.planned_host import PlannedHost
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules
from ansible_collections.vfio.variants.tests.unit.trees import Tree

SITE, OURS, NEW = "/etc/modprobe.d/site.conf", "/etc/modprobe.d/ours.conf", "/etc/modules-load.d/ours.conf"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path).file(SITE, "blacklist nouveau\n").file(OURS, "blacklist e1000e\n")


def planned(tree: Tree) -> PlannedHost:
    return PlannedHost(tree.host(), {OURS: b"blacklist igb\n", NEW: b"vfio_pci\n"})


def test_a_planned_file_takes_the_place_of_the_present_one_in_every_way_of_reading(tree: Tree) -> None:
    host = planned(tree)
    assert host.read_bytes(OURS) == b"blacklist igb\n"
    assert host.read_text(OURS) == "blacklist igb\n"
    assert host.text_or_none(OURS) == "blacklist igb"
    with host.open(OURS) as file:
        assert file.read() == b"blacklist igb\n"
    status = host.stat(OURS)
    assert status is not None
    assert (status.st_size, status.st_mtime_ns) == (14, 0)


def test_all_other_files_are_those_of_the_host(tree: Tree) -> None:
    host = planned(tree)
    assert host.text_or_none(SITE) == "blacklist nouveau"
    assert host.names("/etc/modprobe.d") == ("ours.conf", "site.conf")
    with host.open(SITE) as file:
        assert file.read() == b"blacklist nouveau\n"


def test_a_new_file_brings_the_directories_above_it(tree: Tree) -> None:
    host = planned(tree)
    assert host.is_file(NEW)
    assert host.is_dir("/etc/modules-load.d")
    assert host.names("/etc") == ("modprobe.d", "modules-load.d")
    assert host.names("/etc/modules-load.d") == ("ours.conf",)


def test_a_file_that_is_to_go_is_gone(tree: Tree) -> None:
    host = PlannedHost(tree.host(), {OURS: None})
    assert not host.exists(OURS)
    assert host.text_or_none(OURS) is None
    assert host.names("/etc/modprobe.d") == ("site.conf",)
    with pytest.raises(HostError, match=r"ours\.conf"):
        host.read_bytes(OURS)


def test_what_reads_a_host_reads_this_one_too(tree: Tree) -> None:
    host = PlannedHost(tree.host(), {OURS: b"blacklist igb\n", "/etc/udev/rules.d/70-ours.rules": b'KERNEL=="x", NAME="y"\n'})
    assert [str(line.source) for line in ModprobeConfig.read(host).directives] == [f"{OURS}:1", f"{SITE}:1"]
    assert [str(rule) for rule in Rules.read(host).rules] == ["/etc/udev/rules.d/70-ours.rules:1"]


def test_what_is_planned_is_not_a_link(tree: Tree) -> None:
    place = tree.link("/etc/modprobe.d/link.conf", SITE).host()
    assert place.link("/etc/modprobe.d/link.conf") == SITE
    assert PlannedHost(place, {"/etc/modprobe.d/link.conf": b""}).link("/etc/modprobe.d/link.conf") is None


def test_nothing_is_written(tree: Tree) -> None:
    planned(tree).names("/etc/modules-load.d")
    assert tree.place(OURS).read_text() == "blacklist e1000e\n"
    assert not tree.place(NEW).exists()

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a directory, and what of it are directories: the same in one call as by asking for each."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.listing import Listing, listing
from ansible_collections.vfio.variants.plugins.module_utils._core.host.noting_host import NotingHost
from ansible_collections.vfio.variants.plugins.module_utils._core.host.planned_host import PlannedHost
from ansible_collections.vfio.variants.tests.unit.trees import Tree

HERE = "/sys/devices/card"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    found = Tree(tmp_path).directory(f"{HERE}/power").directory(f"{HERE}/net/eth0").file(f"{HERE}/uevent", "A=1\n")
    return found.link(f"{HERE}/driver", "net").link(f"{HERE}/gone", "nowhere")


EXPECTED = Listing(("driver", "gone", "net", "power", "uevent"), ("net", "power"))


def test_links_to_directories_are_none(tree: Tree) -> None:
    assert listing(tree.host(), HERE) == EXPECTED


def test_a_record_has_each_answer(tree: Tree) -> None:
    host = tree.host()
    with host.recorded() as log:
        assert listing(host, HERE) == EXPECTED
    assert host.still_answers(log.seen)
    tree.place(f"{HERE}/power").rmdir()
    assert not host.still_answers(log.seen)


def test_what_is_planned_counts(tree: Tree) -> None:
    host = PlannedHost(tree.host(), {f"{HERE}/uevent": None, f"{HERE}/later/file": b""})
    assert listing(host, HERE) == Listing(("driver", "gone", "later", "net", "power"), ("later", "net", "power"))


def test_what_is_noted_is_listed_too(tree: Tree) -> None:
    host = NotingHost(str(tree.root), None)
    assert listing(host, HERE) == EXPECTED
    assert HERE in host.notes.listed
    assert f"{HERE}/driver" in host.notes.seen


@pytest.mark.parametrize("path", ["/nothing", f"{HERE}/uevent"])
def test_what_is_not_a_directory_has_nothing(tree: Tree, path: str) -> None:
    assert listing(tree.host(), path) == Listing((), ())


@pytest.mark.parametrize("ways", [Host, NotingHost])
def test_a_loop_of_links(tree: Tree, ways: t.Callable[..., Host]) -> None:
    tree.link("/sys/loop", "loop")
    host = ways(str(tree.root), None)
    if isinstance(host, NotingHost):
        assert listing(host, "/sys/loop") == Listing((), ())
        return
    with pytest.raises(HostError):
        listing(host, "/sys/loop")

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What masks or changes the units by which systemd loads modules and replays the devices' events."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import read_systemd
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Coldplug
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Step

ETC, LOCAL, LIB = "/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"
TRIGGER, LISTS = "systemd-udev-trigger.service", "systemd-modules-load.service"
MASKS: t.Mapping[str, t.Callable[[Tree, str], object]] = {
    "a link": lambda tree, unit: tree.link(f"{ETC}/{unit}", "/dev/null"),
    "a relative link": lambda tree, unit: tree.link(f"{ETC}/{unit}", "../../../dev/null"),
    "an empty file": lambda tree, unit: tree.file(f"{ETC}/{unit}", ""),
    "a link in another folder": lambda tree, unit: tree.link(f"{LOCAL}/{unit}", "/dev/null"),
}


def steps(tree: Tree) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    return read_systemd.steps(tree.host(), Cmdline.parse(""), "/proc/cmdline", in_initrd=False)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    found = Tree(tmp_path).systemd().file("/etc/modules-load.d/card.conf", "vfio-pci\n")
    return found.file(f"{LIB}/{TRIGGER}", "[Service]\n").file(f"{LIB}/{LISTS}", "[Service]\n")


@pytest.mark.parametrize("mask", MASKS)
def test_a_masked_unit_does_nothing_however_it_is_masked(tree: Tree, mask: str) -> None:
    MASKS[mask](tree, TRIGGER)
    found, doubts = steps(tree)
    assert ([type(work).__name__ for step in found for work in step], doubts) == (["LoadList"], ())
    reason = read_systemd.why_no_coldplug(tree.host(), Cmdline.parse(""), "/proc/cmdline", in_initrd=False)
    assert reason is not None
    assert (TRIGGER in reason.source, reason.fact.startswith(f"masks {TRIGGER}")) == (True, True)
    MASKS[mask](tree, LISTS)
    assert steps(tree) == ((), ())
    assert read_systemd.why_no_lists(tree.host(), Cmdline.parse(""), "") is not None


def test_the_first_folder_that_has_a_unit_decides_whether_it_is_masked(tree: Tree) -> None:
    tree.file(f"{ETC}/{TRIGGER}", "[Service]\n").link(f"{LOCAL}/{TRIGGER}", "/dev/null")
    assert Coldplug() in [work for step in steps(tree)[0] for work in step]


@pytest.mark.parametrize("text", ["[Service]\nExecStart=\nExecStart=/bin/true\n", "[Unit]\nConditionPathExists=/run/site\n"])
@pytest.mark.parametrize("has_lists", [True, False])
def test_what_changes_the_replay_of_events_is_a_doubt_with_lists_of_modules_and_without(tree: Tree, text: str, has_lists: bool) -> None:
    if not has_lists:
        tree.place("/etc/modules-load.d/card.conf").unlink()
    path = f"{ETC}/{TRIGGER}.d/site.conf"
    assert steps(tree.file(path, text))[1] == (f"{path} changes {TRIGGER}; the effect cannot be determined.",)


def test_a_change_of_a_unit_that_has_nothing_to_load_is_not_a_doubt(tree: Tree) -> None:
    tree.place("/etc/modules-load.d/card.conf").unlink()
    assert steps(tree.file(f"{ETC}/{LISTS}.d/site.conf", "[Unit]\nConditionPathExists=/etc/site\n"))[1] == ()

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which folders go with a policy, and which stay."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host import made_folders
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.tests.unit.policy_hosts import V100, gpu_host, run
from ansible_collections.vfio.variants.tests.unit.trees import Tree

RULES = "/etc/udev/rules.d"


def everything(tree: Tree) -> set[str]:
    """All paths of the host but its lock and its cache."""
    paths = (str(path.relative_to(tree.root)) for path in tree.root.rglob("*"))
    return {path for path in paths if not path.startswith(("run", "var"))} | {
        str(path.relative_to(tree.root)) for path in tree.place("/var/lib").rglob("*")
    }


def test_a_removed_policy_takes_the_folders_along_that_were_made_for_it(tmp_path: Path) -> None:
    tree = gpu_host(tmp_path).directory("/etc").directory("/var/lib")
    before = everything(tree)
    assert not tree.place("/etc/udev").exists()
    run(tree, V100)
    assert tree.place(RULES).is_dir()
    run(tree, state="absent")
    assert everything(tree) == before


def test_a_folder_that_was_there_before_stays_when_it_is_empty(tmp_path: Path) -> None:
    tree = gpu_host(tmp_path).directory(RULES)
    run(tree, V100)
    run(tree, state="absent")
    assert tree.place(RULES).is_dir()


def test_a_folder_with_a_file_of_somebody_else_stays_and_is_forgotten(tmp_path: Path) -> None:
    tree = gpu_host(tmp_path)
    run(tree, V100)
    tree.file(f"{RULES}/99-site.rules", "\n")
    run(tree, state="absent")
    tree.place(f"{RULES}/99-site.rules").unlink()
    run(tree, state="absent")
    assert tree.place(RULES).is_dir()
    assert not tree.place(made_folders.RECORD).exists()


def test_a_folder_goes_with_the_last_policy_that_has_a_file_in_it(tmp_path: Path) -> None:
    tree = gpu_host(tmp_path)
    run(tree, V100)
    run(tree, {"devices": "0000:02:00.0", "driver": "vfio-pci"}, name="other")
    run(tree, state="absent")
    assert tree.place(RULES).is_dir()
    run(tree, state="absent", name="other")
    assert not tree.place("/etc/udev").exists()


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/var/lib/dpkg/info/udev.list", f"/.\n/etc\n{RULES}\n/usr\n"),
        ("/var/lib/pacman/local/systemd-257/files", "%FILES%\netc/\netc/udev/rules.d/\n"),
    ],
)
def test_a_folder_that_a_package_has_brought_since_stays(tmp_path: Path, path: str, content: str) -> None:
    tree = gpu_host(tmp_path)
    run(tree, V100)
    tree.file(path, content)
    run(tree, state="absent")
    assert tree.place(RULES).is_dir()


@pytest.mark.parametrize(
    ("answer", "stays"),
    [((0, "systemd-udev-257\n", ""), True), ((1, "file /etc/x is not owned by any package\n", ""), False), ((127, "", "no rpm"), True)],
)
def test_rpm_is_asked_and_where_it_does_not_answer_the_folder_stays(tmp_path: Path, answer: tuple[int, str, str], stays: bool) -> None:
    tree = Tree(tmp_path).directory(RULES).file("/usr/lib/sysimage/rpm/rpmdb.sqlite", "")
    tree.file(made_folders.RECORD, json.dumps([RULES]))

    def rpm(args: list[str], **_options: t.Any) -> tuple[int, str, str]:
        assert args[-3:] == ["--query", "--file", RULES]
        return answer

    made_folders.remove_unused(Host(str(tree.root), rpm), lambda _content: False, 400)
    assert tree.place(RULES).is_dir() == stays


@pytest.mark.parametrize("record", ["[", '{"a": 1}', '["/usr/lib", "/etc/../srv", 7]'])
def test_a_record_that_is_not_ours_removes_nothing(tmp_path: Path, record: str) -> None:
    tree = Tree(tmp_path).directory("/usr/lib").directory("/srv").directory("/etc").file(made_folders.RECORD, record)
    made_folders.remove_unused(Host(str(tree.root)), lambda _content: False, 400)
    assert tree.place("/usr/lib").is_dir()
    assert tree.place("/srv").is_dir()

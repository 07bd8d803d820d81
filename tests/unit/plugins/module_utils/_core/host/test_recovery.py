# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a killed run has left of a policy's files and of images, and what the next run makes of it."""

from __future__ import annotations

import os
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host import file_transaction
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_change import FileChange, FileState
from ansible_collections.vfio.variants.plugins.module_utils._core.host.journal import DIRECTORY, Journal
from ansible_collections.vfio.variants.plugins.module_utils._core.host.recovery import FILES, SWEPT, recover
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.policy import PolicyPaths
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

FIRST, SECOND, HOOK = "/etc/modprobe.d/a.conf", "/etc/udev/rules.d/70-a.rules", "/etc/initramfs-tools/hooks/a"


def interrupted(tree: Tree, writes: int) -> None:
    """A change of three files, of which the first ``writes`` were made: one is replaced, two are new, with one new folder."""
    tree.file(FIRST, "old\n", 0o600).directory("/etc/udev").directory("/etc/initramfs-tools/hooks")
    host = tree.host()
    wanted = {FIRST: FileState(b"new\n"), SECOND: FileState(b"rule\n"), HOOK: FileState(b"#!/bin/sh\n", 0o755)}
    changes = [FileChange(path, file_transaction.read_state(host, path), after) for path, after in wanted.items()]
    applied = file_transaction.Applied(host, Journal(host, FILES))
    applied.begin(changes, {"policy": "a"})
    for change in changes[:writes]:
        applied.make(change)


def contents(tree: Tree) -> dict[str, tuple[bytes, int]]:
    found = [path for path in tree.root.rglob("*") if path.is_file()]
    return {str(path.relative_to(tree.root)): (path.read_bytes(), path.stat().st_mode & 0o777) for path in found}


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_a_change_that_was_killed_is_undone(tmp_path: Path, writes: int) -> None:
    tree = Tree(tmp_path)
    interrupted(tree, writes)
    predicted = recover(tree.host(), check_mode=True)
    done = recover(tree.host(), check_mode=False)
    assert [item.outcome for item in done.done] == ["undone"]
    assert done.done == predicted.done
    assert contents(tree) == {FIRST.lstrip("/"): (b"old\n", 0o600)}
    assert not tree.place("/etc/udev/rules.d").exists()
    assert not tree.place(DIRECTORY).exists()
    assert recover(tree.host(), check_mode=False).done == ()


def test_what_was_written_last_is_undone_first(tmp_path: Path) -> None:
    """The order of writing leaves a boot with a driver for each device after each file, and so has the way back to."""
    tree = Tree(tmp_path)
    interrupted(tree, 2)
    (done,) = recover(tree.host(), check_mode=False).done
    assert done.what == (f"{SECOND} was removed.", f"{FIRST} was put back.")


def test_a_change_that_was_killed_after_its_last_write_is_finished(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    interrupted(tree, 3)
    done = recover(tree.host(), check_mode=False)
    assert ([item.outcome for item in done.done], done.changed) == (["finished"], False)
    assert tree.place(FIRST).read_text() == "new\n"
    # The folders that it had made are known to whoever removes the policy.
    assert [path.name for path in tree.place(DIRECTORY).iterdir()] == ["folders"]


def test_check_mode_goes_on_with_the_host_as_it_would_be(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    interrupted(tree, 2)
    before = contents(tree)
    host = recover(tree.host(), check_mode=True).host
    assert file_transaction.read_state(host, FIRST) == FileState(b"old\n", 0o600)
    assert file_transaction.read_state(host, SECOND) is None
    assert contents(tree) == before


def test_a_file_that_somebody_has_changed_since_stays_and_that_is_said(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    interrupted(tree, 2)
    tree.file(SECOND, "edited\n")
    done = recover(tree.host(), check_mode=False)
    assert tree.place(SECOND).read_text() == "edited\n"
    assert tree.place(FIRST).read_text() == "old\n"
    assert f"{SECOND} has been changed since, and stays as it is." in done.warnings[0]


def test_a_journal_that_is_not_ours_does_not_stop_a_run(tmp_path: Path) -> None:
    for content in ("", "[]", "{", '{"version": 99}', '{"version": 1, "files": [3, {"path": 4}]}'):
        tree = Tree(tmp_path).file(f"{DIRECTORY}/{FILES}.json", content)
        assert all(item.outcome == "finished" for item in recover(tree.host(), check_mode=True).done)


def test_a_journal_with_a_state_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    text = '{"version": 1, "files": [{"path": "/etc/x", "before": {"content": "*"}, "after": "y", "written": []}]}'
    tree = Tree(tmp_path).file(f"{DIRECTORY}/{FILES}.json", text)
    with pytest.raises(HostError, match=f"{DIRECTORY}/{FILES}.json is not as this collection has written it"):
        recover(tree.host(), check_mode=False)


def test_an_image_that_was_being_built_is_removed(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/boot/initrd.img-6.1.vfio-variants-new-x", "part")
    record = {"release": "6.1", "image": "/boot/initrd.img-6.1", "new": "/boot/initrd.img-6.1.vfio-variants-new-x"}
    Journal(tree.host(), "initramfs-6.1").write(record)
    done = recover(tree.host(), check_mode=False).done
    assert [item.outcome for item in done] == ["undone"]
    assert os.listdir(tmp_path / "boot") == []
    assert not tree.place(DIRECTORY).exists()


def test_an_image_whose_boot_loader_hooks_have_not_run_waits_for_the_module_that_runs_them(tmp_path: Path) -> None:
    kept = "/boot/initrd.img-6.1.vfio-variants-old"
    tree = Tree(tmp_path).file("/boot/initrd.img-6.1", "new").file(kept, "old")
    Journal(tree.host(), "initramfs-6.1").write({"release": "6.1", "image": "/boot/initrd.img-6.1", "new": "/boot/none", "kept": kept})
    done = recover(tree.host(), check_mode=False)
    assert [item.outcome for item in done.done] == ["left"]
    assert "run the module initramfs for kernel 6.1" in done.warnings[0]
    assert tree.place(kept).exists()


def test_every_folder_of_a_policy_is_swept() -> None:
    assert {os.path.dirname(path) for path in PolicyPaths("x").all} <= set(SWEPT)


def test_the_journal_is_in_a_directory_that_only_root_can_enter(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    interrupted(tree, 1)
    assert tree.place(DIRECTORY).stat().st_mode & 0o777 == 0o700
    assert tree.place(f"{DIRECTORY}/{FILES}.json").stat().st_mode & 0o777 == 0o600

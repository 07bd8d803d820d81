# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files change together or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host import file_transaction
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_change import FileChange, FileState, diff
from ansible_collections.vfio.variants.tests.unit.trees import Tree

MODPROBE = "/etc/modprobe.d/a.conf"
HOOK = "/etc/initramfs-tools/hooks/a"


def change(tree: Tree, path: str, after: bytes | None, mode: int = 0o644) -> FileChange:
    return FileChange(path, file_transaction.read_state(tree.host(), path), None if after is None else FileState(after, mode))


def test_files_and_their_missing_directories_appear_with_their_permissions(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    file_transaction.apply(tree.host(), [change(tree, MODPROBE, b"x\n"), change(tree, HOOK, b"#!/bin/sh\n", 0o755)])
    assert tree.place(MODPROBE).read_bytes() == b"x\n"
    assert tree.place(HOOK).stat().st_mode & 0o777 == 0o755


def test_what_is_already_right_is_not_written(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file(MODPROBE, "x\n")
    before = tree.place(MODPROBE).stat()
    file_transaction.apply(tree.host(), [change(tree, MODPROBE, b"x\n")])
    after = tree.place(MODPROBE).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_lost_permissions_alone_are_a_change(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file(HOOK, "#!/bin/sh\n", mode=0o644)
    wanted = change(tree, HOOK, b"#!/bin/sh\n", 0o755)
    assert wanted.needed
    file_transaction.apply(tree.host(), [wanted])
    assert tree.place(HOOK).stat().st_mode & 0o777 == 0o755


def test_a_failure_in_the_middle_leaves_everything_as_it_was(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file(MODPROBE, "old\n", mode=0o600).file("/etc/udev", "a file where a directory should be")
    kept = change(tree, MODPROBE, b"new\n")
    new = change(tree, HOOK, b"#!/bin/sh\n", 0o755)
    impossible = change(tree, "/etc/udev/rules.d/70-a.rules", b"rule\n")
    with pytest.raises(HostError, match=r"/etc/udev"):
        file_transaction.apply(tree.host(), [kept, new, impossible])
    assert tree.place(MODPROBE).read_bytes() == b"old\n"
    assert tree.place(MODPROBE).stat().st_mode & 0o777 == 0o600
    assert not tree.place("/etc/initramfs-tools").exists()


def test_undo_brings_back_what_was_removed(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file(MODPROBE, "old\n")
    applied = file_transaction.apply(tree.host(), [change(tree, MODPROBE, None)])
    assert not tree.place(MODPROBE).exists()
    assert applied.undo() == ()
    assert tree.place(MODPROBE).read_bytes() == b"old\n"


def test_undo_goes_from_the_last_change_to_the_first(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file(MODPROBE, "old\n")
    first = change(tree, MODPROBE, b"first\n")
    second = FileChange(MODPROBE, first.after, FileState(b"second\n", 0o644))
    applied = file_transaction.apply(tree.host(), [first, second])
    assert tree.place(MODPROBE).read_bytes() == b"second\n"
    assert applied.undo() == ()
    assert tree.place(MODPROBE).read_bytes() == b"old\n"


def test_undo_leaves_a_created_directory_that_somebody_else_uses_by_now(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    applied = file_transaction.apply(tree.host(), [change(tree, MODPROBE, b"x\n")])
    tree.file("/etc/modprobe.d/site.conf", "blacklist floppy\n")
    applied.undo()
    assert sorted(path.name for path in tree.place("/etc/modprobe.d").iterdir()) == ["site.conf"]


@pytest.mark.parametrize("kind", ["link", "directory"])
def test_a_link_or_directory_in_a_files_place_is_refused(tmp_path: Path, kind: str) -> None:
    tree = Tree(tmp_path)
    tree = tree.link(MODPROBE, "/dev/null") if kind == "link" else tree.directory(MODPROBE)
    with pytest.raises(HostError, match=MODPROBE):
        file_transaction.read_state(tree.host(), MODPROBE)


def test_the_diff_shows_content_and_permissions_of_needed_changes_only(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file(MODPROBE, "same\n").file(HOOK, "#!/bin/sh\n", mode=0o600)
    shown = diff([change(tree, MODPROBE, b"same\n"), change(tree, HOOK, b"#!/bin/sh\n", 0o755)])
    assert shown == [
        {
            "before_header": f"{HOOK} (mode 0600)",
            "before": "#!/bin/sh\n",
            "after_header": f"{HOOK} (mode 0755)",
            "after": "#!/bin/sh\n",
        }
    ]

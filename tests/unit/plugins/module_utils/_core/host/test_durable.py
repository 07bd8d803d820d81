# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an error says about a file is true, and what killed runs have left is found."""

from __future__ import annotations

import errno
import os
import signal
import time
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host import durable
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def no_sync(monkeypatch: pytest.MonkeyPatch) -> t.Callable[[int], None]:
    """Lets fsync() of directories fail; how a disk that has gone does it cannot be had without one."""

    def fail_with(number: int) -> None:
        real = os.fsync

        def fsync(handle: int) -> None:
            if os.path.isdir(f"/proc/self/fd/{handle}"):
                raise OSError(number, os.strerror(number))
            real(handle)

        monkeypatch.setattr(os, "fsync", fsync)

    return fail_with


MAY_NOT_SURVIVE = (
    "its directory cannot be synchronized with the disk (Input/output error), so a change of it may not survive a power failure."
)


def test_a_file_whose_directory_is_not_synchronized_was_moved_and_the_error_says_so(
    tmp_path: Path, no_sync: t.Callable[[int], None]
) -> None:
    host = Tree(tmp_path).file("/boot/new", "new").host()
    no_sync(errno.EIO)
    with pytest.raises(HostError) as caught:
        host.rename("/boot/new", "/boot/image")
    assert caught.value.msg == f"/boot/image: {MAY_NOT_SURVIVE}"
    assert (tmp_path / "boot/image").read_text() == "new"


def test_the_same_holds_for_a_file_that_is_written_or_removed(tmp_path: Path, no_sync: t.Callable[[int], None]) -> None:
    host = Tree(tmp_path).file("/etc/old", "old").host()
    no_sync(errno.EIO)
    with pytest.raises(HostError) as caught:
        host.write_atomic("/etc/new", b"new")
    assert caught.value.msg == f"/etc/new: {MAY_NOT_SURVIVE}"
    with pytest.raises(HostError) as caught:
        host.remove("/etc/old")
    assert caught.value.msg == f"/etc/old: {MAY_NOT_SURVIVE}"
    assert sorted(os.listdir(tmp_path / "etc")) == ["new"]


def test_a_file_system_that_cannot_synchronize_directories_is_none_that_fails(tmp_path: Path, no_sync: t.Callable[[int], None]) -> None:
    host = Tree(tmp_path).directory("/etc").host()
    no_sync(errno.EINVAL)
    host.write_atomic("/etc/new", b"new")


def test_a_file_that_cannot_be_moved_is_where_it_was(tmp_path: Path) -> None:
    host = Tree(tmp_path).file("/boot/new", "new").host()
    with pytest.raises(HostError, match=r"^/boot/new cannot be moved to /efi/image: No such file or directory\.$"):
        host.rename("/boot/new", "/efi/image")


def test_temporary_files_of_killed_runs_are_removed_and_nothing_else(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/modprobe.d/.vfio-variants-abc", "torn").file("/etc/modprobe.d/site.conf", "mine")
    tree.link("/etc/modprobe.d/.vfio-variants-link", "site.conf").directory("/etc/modprobe.d/.vfio-variants-folder")
    assert tree.host().sweep(["/etc/modprobe.d", "/etc/none"]) == ("/etc/modprobe.d/.vfio-variants-abc",)
    assert sorted(os.listdir(tmp_path / "etc/modprobe.d")) == [".vfio-variants-folder", ".vfio-variants-link", "site.conf"]


def test_a_scratch_directory_is_removed_once_its_process_was_killed_and_not_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "LARGE", str(tmp_path))
    child = os.fork()
    if child == 0:
        with durable.scratch():
            time.sleep(60)
        os._exit(0)
    try:
        deadline = time.monotonic() + 20
        while not os.listdir(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.1)
        durable.remove_scratch()
        assert len(os.listdir(tmp_path)) == 1
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    durable.remove_scratch()
    assert os.listdir(tmp_path) == []

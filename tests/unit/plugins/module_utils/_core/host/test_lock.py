# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock: who can hold it, and for how long."""

from __future__ import annotations

import os
import stat
import time
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.lock import LOCK_DIRECTORY, locked
from ansible_collections.vfio.variants.plugins.module_utils._core.host.sysfs import StuckProcess, write_with_timeout
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path


def test_the_lock_is_in_a_directory_that_only_its_owner_can_enter(tmp_path: Path) -> None:
    with Tree(tmp_path).host().lock():
        directory = os.stat(f"{tmp_path}{LOCK_DIRECTORY}")
    assert stat.S_IMODE(directory.st_mode) == 0o700
    assert stat.S_IMODE(os.stat(f"{tmp_path}{LOCK_DIRECTORY}/lock").st_mode) == 0o600


def test_a_directory_that_others_can_enter_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir(mode=0o755)
    with locked(str(tmp_path / "lock"), 5):
        assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o700


def test_a_write_that_is_left_behind_does_not_keep_the_lock(tmp_path: Path) -> None:
    # Opening a pipe that nobody reads waits, as a driver's remove() waits for a user of the device.
    os.mkfifo(tmp_path / "unbind")
    host = Tree(tmp_path).host()
    with host.lock():
        assert isinstance(write_with_timeout(str(tmp_path / "unbind"), b"x", timeout=0.2), StuckProcess)
    begun = time.monotonic()
    with host.lock(timeout=5):
        assert time.monotonic() - begun < 2
    assert (tmp_path / "unbind").read_bytes() == b"x"


def test_while_the_lock_is_held_one_process_writes_and_it_does_not_keep_the_lock(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "unbind")
    host = Tree(tmp_path).file("/bind", "").host()
    with host.lock():
        processes = set()
        for _write in range(3):
            host.write_attribute("/bind", "x", timeout=10)
            processes.add(host._writer and host._writer._child)
        assert len(processes) == 1
        with pytest.raises(HostError, match="still waits"):
            host.write_attribute("/unbind", "x", timeout=0.2)
    begun = time.monotonic()
    with host.lock(timeout=5):
        assert time.monotonic() - begun < 2
    assert (tmp_path / "unbind").read_bytes() == b"x"


def test_a_process_that_is_forked_while_the_lock_is_held_does_not_keep_it(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with locked(str(tmp_path / "lock"), 5):
        child = os.fork()
        if child == 0:
            os.close(writer)
            os.read(reader, 1)
            os._exit(0)
    os.close(reader)
    try:
        with locked(str(tmp_path / "lock"), 0.5):
            pass
    finally:
        os.close(writer)
        os.waitpid(child, 0)


def test_a_directory_that_others_can_write_to_does_not_hold_the_lock(tmp_path: Path) -> None:
    place = tmp_path / "lock"
    place.mkdir()
    place.chmod(0o777)
    with pytest.raises(HostError, match=r"does not belong to root alone|needs root"), locked(str(place), 5):
        pass


def test_a_link_does_not_hold_the_lock(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "lock").symlink_to("elsewhere")
    with pytest.raises(HostError, match=r"does not belong to root alone|needs root"), locked(str(tmp_path / "lock"), 5):
        pass
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_fifo_in_place_of_the_lock_does_not_hang(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "lock/lock")
    begun = time.monotonic()
    with locked(str(tmp_path / "lock"), 1):
        assert time.monotonic() - begun < 5


@pytest.mark.parametrize("exists", [True, False])
def test_without_root_it_is_one_sentence(tmp_path: Path, exists: bool) -> None:
    """As another user than the directory's owner; as root by giving root up in a child process."""
    if exists:
        (tmp_path / "run").mkdir(mode=0o700)
    tmp_path.chmod(0o555)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        said = "no error"
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setuid(65534)
            with locked(str(tmp_path / "run"), 1):
                pass
        except HostError as error:
            said = str(error)
        finally:
            os.write(writer, said.encode())
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    said = os.read(reader, 1000).decode()
    os.close(reader)
    tmp_path.chmod(0o755)
    assert said == "Changing this host needs root. Set `become: true`."


@pytest.mark.parametrize("kind", ["link", "directory", "socket"])
def test_what_is_in_the_place_of_the_lock_is_to_be_removed(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    place = folder / "lock"
    if kind == "link":
        place.symlink_to("/dev/null")
    elif kind == "directory":
        place.mkdir()
    else:
        os.mknod(place, stat.S_IFSOCK | 0o600)
    with pytest.raises(HostError, match="lock cannot be opened") as caught, locked(str(folder), 1):
        pass
    assert caught.value.hint == "Remove what is there; this collection makes a plain file."

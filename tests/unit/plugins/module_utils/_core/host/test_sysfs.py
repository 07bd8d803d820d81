# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A write that may never return: the child reports what the kernel said, or is left behind."""

from __future__ import annotations

import contextlib
import errno
import inspect
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host import sysfs
from ansible_collections.vfio.variants.plugins.module_utils._core.host.sysfs import StuckProcess, read_attributes, write_with_timeout


def test_a_write_that_works_returns_zero(tmp_path: Path) -> None:
    (tmp_path / "bind").write_text("")
    assert write_with_timeout(str(tmp_path / "bind"), b"0000:01:00.0", timeout=10) == 0
    assert (tmp_path / "bind").read_bytes() == b"0000:01:00.0"


def test_a_write_that_is_refused_returns_the_errno(tmp_path: Path) -> None:
    assert write_with_timeout(str(tmp_path), b"x", timeout=10) == errno.EISDIR


def test_a_write_that_does_not_end_returns_in_time_what_is_left_behind(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "unbind")
    begun = time.monotonic()
    left = write_with_timeout(str(tmp_path / "unbind"), b"x", timeout=0.2)
    assert isinstance(left, StuckProcess)
    assert os.path.exists(f"/proc/{left.process}")
    assert time.monotonic() - begun < 10
    assert (tmp_path / "unbind").read_bytes() == b"x"


def test_whoever_waits_for_the_caller_to_end_does_not_wait_for_the_child(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "unbind")
    caller = f"import sysfs; print(sysfs.write_with_timeout({str(tmp_path / 'unbind')!r}, b'x', 0.2))"
    folder = os.path.dirname(os.path.abspath(inspect.getfile(write_with_timeout)))
    done = subprocess.run([sys.executable, "-c", caller], cwd=folder, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.startswith("process ")
    assert (tmp_path / "unbind").read_bytes() == b"x"


def test_a_child_left_behind_ends_with_its_write_and_does_not_go_on_with_the_callers_work(tmp_path: Path) -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, 0)[0]:
            pass  # those of earlier tests
    os.mkfifo(tmp_path / "unbind")
    assert isinstance(write_with_timeout(str(tmp_path / "unbind"), b"x", timeout=0.2), StuckProcess)
    assert (tmp_path / "unbind").read_bytes() == b"x"
    # The child is the only one left to wait for; had it gone on as this test, it would not end here.
    deadline = time.monotonic() + 10
    while (ended := os.waitpid(-1, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert ended[0] != 0
    assert ended[1] == 0


def test_a_process_that_is_left_behind_is_named_with_the_kernel_functions_that_it_waits_in(tmp_path: Path) -> None:
    """Opening a pipe that nobody reads waits in the kernel as a driver's remove() does; only root may read a kernel stack."""
    os.mkfifo(tmp_path / "unbind")
    left = write_with_timeout(str(tmp_path / "unbind"), b"x", timeout=0.3)
    assert isinstance(left, StuckProcess)
    with contextlib.suppress(OSError), open(f"/proc/{left.process}/stack", encoding="ascii") as file:
        shown = file.read()
        assert left.stack
        assert all(f" {function}+" in shown for function in left.stack)
        assert str(left).startswith(f"process {left.process} still waits in {left.stack[0]}")
    assert (tmp_path / "unbind").read_bytes() == b"x"


def blocking(path: str) -> str:
    """Reads a pipe as the kernel reads a locked device's attribute: until somebody lets it go."""
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


def test_attributes_that_the_kernel_does_not_show_are_missing_and_all_others_are_read(tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in ("first", "locked", "gone", "last")]
    for path in (paths[0], paths[3]):
        Path(path).write_text(f"{path}\n")
    os.mkfifo(paths[1])
    begun = time.monotonic()
    assert read_attributes(paths, 0.3, lambda path: blocking(path) if Path(path).exists() else None) == {
        paths[0]: paths[0],
        paths[3]: paths[3],
    }
    assert time.monotonic() - begun < 5
    os.close(os.open(paths[1], os.O_WRONLY))


def test_many_attributes_that_the_kernel_does_not_show_cost_a_bounded_time(tmp_path: Path) -> None:
    paths = [str(tmp_path / str(number)) for number in range(50)]
    for path in paths:
        os.mkfifo(path)
    begun = time.monotonic()
    assert read_attributes(paths, 0.2, blocking) == {}
    assert time.monotonic() - begun < 5
    # The children that wait go on, to paths that are not there.
    handles = [os.open(path, os.O_RDWR) for path in paths]
    for path in paths:
        os.unlink(path)
    for handle in handles:
        os.close(handle)


def test_plain_files_that_are_not_the_kernels_are_read_without_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plain").write_bytes(b"a\0b\n")
    (tmp_path / "link").symlink_to("plain")
    paths = [str(tmp_path / name) for name in ("plain", "gone")]

    def place(path: str) -> str:
        return f"{tmp_path}{path}"

    monkeypatch.delattr(os, "fork")
    assert read_attributes(["/plain", "/gone"], 5, lambda path: sysfs.read_attribute(place(path)), place) == {"/plain": "ab"}
    assert read_attributes(paths, 5) == {paths[0]: "ab"}
    with pytest.raises(AttributeError, match="fork"):
        read_attributes([str(tmp_path / "link")], 5)
    monkeypatch.setattr(sysfs, "SYSFS", str(tmp_path))
    with pytest.raises(AttributeError, match="fork"):
        read_attributes(paths, 5)


def test_all_attributes_of_a_large_host_come_through_one_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysfs, "SYSFS", str(tmp_path))
    paths = [str(tmp_path / str(number)) for number in range(2000)]
    for path in paths:
        Path(path).write_text("x" * 100)
    assert read_attributes(paths, timeout=5) == dict.fromkeys(paths, "x" * 100)

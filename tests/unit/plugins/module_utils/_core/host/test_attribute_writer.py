# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One process that does many writes: what it answers, and what becomes of it when a write does not end."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.attribute_writer import PROGRESS, AttributeWriter
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import Interrupted, interruptible
from ansible_collections.vfio.variants.plugins.module_utils._core.host.sysfs import StuckProcess


@pytest.fixture
def writer() -> t.Iterator[AttributeWriter]:
    with contextlib.closing(AttributeWriter()) as made:
        yield made


def write(writer: AttributeWriter, path: str, data: bytes, timeout: float) -> int | StuckProcess:
    """One write alone; what came of it."""
    return writer.write_all([(path, data)], timeout)[1]


def children() -> set[str]:
    """The processes that this one has started and that have not ended."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        found |= set((task / "children").read_text().split())
    return {child for child in found if ") Z " not in Path(f"/proc/{child}/stat").read_text()}


def test_one_child_does_all_writes_and_ends_when_it_is_closed(tmp_path: Path) -> None:
    before, writer = children(), AttributeWriter()
    for number in range(100):
        (tmp_path / str(number)).write_text("")
        assert write(writer, str(tmp_path / str(number)), b"x" * number, timeout=10) == 0
    assert len(children() - before) == 1
    assert [(tmp_path / str(number)).read_bytes() for number in range(100)] == [b"x" * number for number in range(100)]
    writer.close()
    assert children() == before


def test_what_is_refused_says_so_and_the_next_write_is_done(tmp_path: Path, writer: AttributeWriter) -> None:
    (tmp_path / "bind").write_text("")
    assert write(writer, str(tmp_path), b"x", timeout=10) == errno.EISDIR
    assert write(writer, str(tmp_path / "missing"), b"x", timeout=10) == errno.ENOENT
    assert write(writer, str(tmp_path / "bind"), b"x", timeout=10) == 0
    assert (tmp_path / "bind").read_bytes() == b"x"


def test_writes_that_are_asked_for_together_end_with_the_first_that_is_refused(tmp_path: Path, writer: AttributeWriter) -> None:
    for name in ("driver_override", "drivers_probe"):
        (tmp_path / name).write_text("")
    override, probe = (str(tmp_path / "driver_override"), b"vfio-pci"), (str(tmp_path / "drivers_probe"), b"x")
    assert writer.write_all([override, (str(tmp_path / "unbind"), b"x"), probe], timeout=10) == (1, errno.ENOENT)
    assert ((tmp_path / "driver_override").read_bytes(), (tmp_path / "drivers_probe").read_bytes()) == (b"vfio-pci", b"")
    assert writer.write_all([override, probe], timeout=10) == (2, 0)
    assert (tmp_path / "drivers_probe").read_bytes() == b"x"


def test_after_one_that_does_not_end_in_time_the_others_are_not_done_when_it_ends(tmp_path: Path, writer: AttributeWriter) -> None:
    os.mkfifo(tmp_path / "unbind")
    (tmp_path / "driver_override").write_text("")
    (tmp_path / "drivers_probe").write_text("")
    asked = [(str(tmp_path / name), b"x") for name in ("driver_override", "unbind", "drivers_probe")]
    done, left = writer.write_all(asked, timeout=0.2)
    assert done == 1
    assert isinstance(left, StuckProcess)
    assert (tmp_path / "unbind").read_bytes() == b"x"
    assert os.waitpid(left.process, 0)[1] == 0
    assert (tmp_path / "drivers_probe").read_bytes() == b""


@pytest.mark.parametrize("lets_go", [1, 2])
def test_what_ends_at_the_last_moment_is_done_and_what_it_waits_in_is_what_is_named(
    tmp_path: Path, writer: AttributeWriter, monkeypatch: pytest.MonkeyPatch, lets_go: int
) -> None:
    """A machine that stood still wakes up with its time limits over, and then its writes go on."""
    names = [str(tmp_path / name) for name in ("driver_override", "unbind")]
    for name in names:
        os.mkfifo(name)
    leave = AttributeWriter._leave

    def go_on_and_leave(left: AttributeWriter) -> int:
        for done, name in enumerate(names[:lets_go], 1):
            Path(name).read_bytes()
            while PROGRESS.unpack_from(left._progress)[0] < done:
                time.sleep(0.01)
        return leave(left)

    with monkeypatch.context() as patched:
        patched.setattr(AttributeWriter, "_leave", go_on_and_leave)
        done, left = writer.write_all([(name, b"x") for name in names], timeout=0.2)
    assert done == lets_go
    if lets_go == len(names):
        assert left == 0
    else:
        assert isinstance(left, StuckProcess)
        assert Path(names[done]).read_bytes() == b"x"


def test_the_time_limit_is_that_of_each_write_and_not_of_all(tmp_path: Path, writer: AttributeWriter) -> None:
    names = [str(tmp_path / name) for name in "abc"]
    for name in names:
        os.mkfifo(name)

    def take_slowly() -> None:
        for name in names:
            time.sleep(0.6)
            Path(name).read_bytes()

    reader = threading.Thread(target=take_slowly)
    reader.start()
    try:
        assert writer.write_all([(name, b"x") for name in names], timeout=1.2) == (3, 0)
    finally:
        reader.join()


def test_after_a_write_that_does_not_end_another_child_does_the_next(tmp_path: Path, writer: AttributeWriter) -> None:
    os.mkfifo(tmp_path / "unbind")
    (tmp_path / "bind").write_text("")
    left = write(writer, str(tmp_path / "unbind"), b"x", timeout=0.2)
    assert isinstance(left, StuckProcess)
    assert str(left.process) in children()
    assert write(writer, str(tmp_path / "bind"), b"y", timeout=10) == 0
    assert (tmp_path / "unbind").read_bytes() == b"x"
    # It has nothing more to do, and nobody asks it.
    assert os.waitpid(left.process, 0)[1] == 0


def test_what_a_child_answers_after_a_signal_is_not_taken_for_a_later_writes_answer(tmp_path: Path, writer: AttributeWriter) -> None:
    """The first write ends only after the wait for it has ended."""
    os.mkfifo(tmp_path / "unbind")
    (tmp_path / "bind").write_text("")
    signal.signal(signal.SIGALRM, lambda *_arguments: os.kill(os.getpid(), signal.SIGTERM))
    with interruptible():
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(Interrupted):
            write(writer, str(tmp_path / "unbind"), b"x", timeout=0.5)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert write(writer, str(tmp_path / "bind"), b"y", timeout=10) == 0
    assert (tmp_path / "bind").read_bytes() == b"y"
    assert (tmp_path / "unbind").read_bytes() == b"x"


def test_a_child_that_was_killed_is_an_error_and_the_next_write_has_another(tmp_path: Path, writer: AttributeWriter) -> None:
    (tmp_path / "bind").write_text("")
    before = children()
    assert write(writer, str(tmp_path / "bind"), b"x", timeout=10) == 0
    (child,) = children() - before
    os.kill(int(child), signal.SIGKILL)
    while child in children():
        time.sleep(0.01)
    assert write(writer, str(tmp_path / "bind"), b"y", timeout=10) == errno.EIO
    assert write(writer, str(tmp_path / "bind"), b"z", timeout=10) == 0


def test_the_child_ends_with_a_caller_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "bind").write_text("")
    write = f"writer = AttributeWriter(); writer.write_all([({str(tmp_path / 'bind')!r}, b'x')], 9)"
    caller = (
        f"import time; from {AttributeWriter.__module__} import AttributeWriter; {write}; print(writer._child, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", caller], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = process.stdout.readline().strip()
        process.kill()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and ") Z " not in Path(f"/proc/{child}/stat").read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{child}").exists() or ") Z " in Path(f"/proc/{child}/stat").read_text()

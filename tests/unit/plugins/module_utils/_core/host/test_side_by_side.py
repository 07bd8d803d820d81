# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that is done side by side ends as if it had been done one after the other, and leaves no process behind."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host import processes
from ansible_collections.vfio.variants.plugins.module_utils._core.host import side_by_side as module
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import Interrupted, interruptible
from ansible_collections.vfio.variants.plugins.module_utils._core.host.side_by_side import side_by_side

WAITS = 20.0


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + WAITS
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def fails(sentence: str, after: Path | None = None) -> None:
    if after is not None:
        wait_for(after)
    raise HostError(sentence, "a hint", {"log": "a\nb"})


def runs_for_ever(pid_file: Path) -> None:
    """As `Host.run()` does it: by timeout(1)."""
    script = f"echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; sleep 1000"
    subprocess.run(["timeout", "--kill-after=5", "1000", "sh", "-c", script], check=False)


def is_running(pid_file: Path) -> bool:
    return bool(processes.stat_of(pid_file.read_text().strip()))


def untold(_number: int) -> None:
    pass


def test_everything_is_done_and_told_of(tmp_path: Path) -> None:
    said: list[str] = []
    works = [functools.partial((tmp_path / str(number)).write_text, "") for number in range(5)]
    side_by_side(works, 2, lambda number: said.append(f"begins {number}"), lambda number: said.append(f"ends {number}"))
    assert sorted(path.name for path in tmp_path.iterdir()) == list("01234")
    assert sorted(said) == sorted(f"{what} {number}" for what in ("begins", "ends") for number in range(5))
    assert all(said.index(f"begins {number}") < said.index(f"ends {number}") for number in range(5))


def test_it_is_done_at_the_same_time_and_no_more_of_it_than_is_allowed(tmp_path: Path) -> None:
    def meets(own: str, other: str) -> None:
        (tmp_path / own).touch()
        wait_for(tmp_path / other)

    running = 0
    most = 0

    def begins(_number: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)

    def ends(_number: int) -> None:
        nonlocal running
        running -= 1

    side_by_side([lambda: meets("a", "b"), lambda: meets("b", "a"), lambda: None, lambda: None], 2, begins, ends)
    assert most == 2


def test_the_first_that_fails_by_their_order_is_what_is_raised_with_all_that_it_says(tmp_path: Path) -> None:
    ended = tmp_path / "ended"

    def second() -> None:
        ended.touch()
        fails("the second")

    with pytest.raises(HostError, match="the first") as error:
        side_by_side([lambda: fails("the first", ended), second], 2, untold, untold)
    assert (error.value.msg, error.value.hint, error.value.facts) == ("the first", "a hint", {"log": "a\nb"})


def test_of_two_that_fail_at_the_same_time_it_is_the_first(tmp_path: Path) -> None:
    def begins(number: int) -> None:
        if number == 2:
            # Both have ended by then.
            time.sleep(0.5)

    with pytest.raises(HostError, match="the first"):
        side_by_side([lambda: fails("the first"), lambda: fails("the second"), (tmp_path / "third").touch], 3, begins, untold)


def test_what_is_behind_one_that_failed_is_ended_and_nothing_else_begins(tmp_path: Path) -> None:
    pid_file, never, before = tmp_path / "pid", tmp_path / "never", tmp_path / "before"

    def first() -> None:
        time.sleep(0.5)
        before.touch()

    works = [first, lambda: fails("the second", pid_file), lambda: runs_for_ever(pid_file), never.touch]
    with pytest.raises(HostError, match="the second"):
        side_by_side(works, 3, untold, untold)
    assert (is_running(pid_file), never.exists(), before.exists()) == (False, False, True)


def test_a_signal_ends_it_with_all_that_it_has_started(tmp_path: Path) -> None:
    pid_files = [tmp_path / "1", tmp_path / "2"]

    def interrupts() -> None:
        for path in pid_files:
            wait_for(path)
        os.kill(parent, signal.SIGTERM)
        time.sleep(1000)

    parent = os.getpid()
    works: list[module.Work] = [interrupts, *(functools.partial(runs_for_ever, path) for path in pid_files)]
    with pytest.raises(Interrupted), interruptible():
        side_by_side(works, 3, untold, untold)
    assert not any(map(is_running, pid_files))


def test_a_program_that_ignores_the_first_signal_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "AFTER_SIGTERM", 0.5)
    pid_file = tmp_path / "pid"

    def ignores() -> None:
        script = f"trap '' TERM; echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; sleep 1000"
        subprocess.run(["sh", "-c", script], check=False)

    with pytest.raises(HostError, match="the first"):
        side_by_side([lambda: fails("the first", pid_file), ignores], 2, untold, untold)
    assert not is_running(pid_file)


def test_work_whose_process_is_killed_has_failed() -> None:
    with pytest.raises(HostError, match=r"^Process \d+ was killed before it had done its work\."):
        side_by_side([lambda: os.kill(os.getpid(), signal.SIGKILL)], 2, untold, untold)


def test_a_fault_of_the_code_stays_one() -> None:
    with pytest.raises(RuntimeError, match=r"^ZeroDivisionError: "):
        side_by_side([lambda: 1 // 0], 2, untold, untold)


def test_an_error_of_the_system_is_a_sentence() -> None:
    with pytest.raises(HostError, match="/nonexistent/x: No such file or directory"):
        side_by_side([Path("/nonexistent/x").touch], 2, untold, untold)

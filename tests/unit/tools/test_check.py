# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from workshop.check import Check, Result, judge, run, tally
from workshop.errors import WorkshopError

HERE = Path(__file__).parent


def python(program: str, *, counts: bool = False, seconds: float = 60, cleanup: tuple[str, ...] = ()) -> Check:
    return Check("a check", (sys.executable, "-c", program), HERE, dict(os.environ), seconds, counts, cleanup)


def runs(pid: int) -> bool:
    """Whether a process still does anything; one that nobody has buried yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("12 passed in 0.61s", (12, 0)),
        ("1 failed, 12 passed, 2 errors in 3.20s", (12, 3)),
        ("4 passed, 0 failed", (4, 0)),
        ("===== 1 error in 0.10s =====", (0, 1)),
        ("all is well", (0, 0)),
    ],
)
def test_a_closing_line_says_how_many_tests_ran(line: str, expected: tuple[int, int]) -> None:
    assert tally((line,)) == expected


def test_the_last_line_that_counts_is_the_closing_line() -> None:
    assert tally(("3 passed, 1 failed", "more words", "7 passed, 0 failed", "")) == (7, 0)


def test_a_check_that_does_not_count_is_one_test() -> None:
    assert judge(python(""), 0, ("5 passed",), 1.0) == Result("a check", 1, 0, 1.0)
    assert judge(python(""), 2, (), 1.0) == Result("a check", 0, 1, 1.0)


def test_a_counting_check_that_ran_no_test_has_failed() -> None:
    assert judge(python("", counts=True), 0, (), 1.0).failed == 1


def test_a_crash_after_green_tests_is_a_failure_too() -> None:
    assert judge(python("", counts=True), 1, ("5 passed",), 1.0) == Result("a check", 5, 1, 1.0)


def test_a_failure_that_the_exit_code_passes_over_is_still_one() -> None:
    assert judge(python("", counts=True), 0, ("5 passed, 2 failed",), 1.0).failed > 0


def test_output_appears_while_the_program_runs(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(python("import sys; print('to out', flush=True); print('to err', file=sys.stderr); sys.exit(3)"))

    assert result.failed == 1
    assert result.why == "exit code 3"
    assert capsys.readouterr().out.splitlines()[:3] == ["-- a check", "to out", "to err"]


def test_a_program_never_waits_for_a_terminal() -> None:
    assert run(python("import sys; sys.exit(sys.stdin.read() != '')")).passed == 1


def test_a_time_limit_ends_the_whole_group_and_then_tidies_up(tmp_path: Path) -> None:
    grandchild = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}, {str(tmp_path / 'pid')!r}])"
    tidy = (sys.executable, "-c", f"open({str(tmp_path / 'tidied')!r}, 'w')")
    start = time.monotonic()

    result = run(python(parent, seconds=2, cleanup=tidy))

    assert result.failed == 1
    assert time.monotonic() - start < 30
    assert (tmp_path / "tidied").exists()
    assert not runs(int((tmp_path / "pid").read_text()))


def test_a_program_that_is_not_there_is_one_clear_sentence() -> None:
    with pytest.raises(WorkshopError, match=r"^/nowhere/tool cannot be run: No such file or directory$"):
        run(Check("a check", ("/nowhere/tool",), HERE, {}))


def test_what_a_program_leaves_in_the_background_is_not_waited_for() -> None:
    start = time.monotonic()

    result = run(python("import subprocess; print(subprocess.Popen(['sleep', '10'], start_new_session=True).pid)"))

    assert result.passed == 1
    assert time.monotonic() - start < 8

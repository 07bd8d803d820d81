# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import EXIT_STATUS
from ansible_collections.vfio.variants.tests.unit.archives import served
from devtool.__main__ import end
from devtool.check import Check, Result, counts_in, judge, run
from devtool.errors import DevtoolError
from devtool.lanes import run_in_lanes

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
    assert counts_in((line,)) == expected


def test_the_last_line_that_counts_is_the_closing_line() -> None:
    assert counts_in(("3 passed, 1 failed", "more words", "7 passed, 0 failed", "")) == (7, 0)


def test_a_check_that_does_not_count_is_one_test() -> None:
    assert judge(python(""), 0, ("5 passed",), 1.0) == Result("a check", 1, 0, 1.0)
    assert judge(python(""), 2, (), 1.0) == Result("a check", 0, 1, 1.0)


def test_a_counting_check_that_ran_no_test_has_failed() -> None:
    assert judge(python("", counts=True), 0, (), 1.0).failed == 1


def test_a_crash_after_green_tests_is_a_failure_too() -> None:
    assert judge(python("", counts=True), 1, ("5 passed",), 1.0) == Result("a check", 5, 1, 1.0)


def test_a_failure_that_the_exit_code_passes_over_is_still_one() -> None:
    assert judge(python("", counts=True), 0, ("5 passed, 2 failed",), 1.0).failed > 0


MISSING = "archive unavailable: linux-image-amd64 6.12.117-1 (404 Not Found)"
REPLACED = f"{MISSING}; instead: another version"


def test_a_program_that_missed_its_floor_for_want_of_something_has_not_failed() -> None:
    result = judge(python("", counts=True), EXIT_STATUS, (MISSING, "7 passed, 0 failed"), 1.0)
    assert (result.passed, result.failed, result.short) == (7, 0, True)
    assert result.unavailable == ("linux-image-amd64 6.12.117-1 (404 Not Found)",)


def test_a_program_that_had_enough_without_it_has_passed_and_still_names_it() -> None:
    result = judge(python("", counts=True), 0, (MISSING, "7 passed, 0 failed"), 1.0)
    assert (result.passed, result.failed, result.short) == (7, 0, False)
    assert result.unavailable


def test_failures_beside_something_missing_are_failures() -> None:
    for code in (1, EXIT_STATUS):
        result = judge(python("", counts=True), code, (MISSING, "7 passed, 2 failed"), 1.0)
        assert (result.failed, result.short) == (2, False)


def test_the_archive_is_not_to_blame_unless_something_is_named() -> None:
    assert judge(python("", counts=True), EXIT_STATUS, ("7 passed, 0 failed",), 1.0).failed == 1


def test_a_program_that_does_not_count_and_stopped_for_want_of_something_has_not_failed() -> None:
    result = judge(python(""), 2, ("[ERROR]: Task failed: " + MISSING, MISSING), 1.0)
    assert (result.passed, result.failed, result.short) == (0, 0, True)


@pytest.mark.parametrize(
    "lines",
    [
        (REPLACED,),
        (MISSING, "[ERROR]: Task failed: Module failed: the owner is nouveau"),
        (MISSING, "FAILED tests/claimed/test_claims.py::test_the_owner - AssertionError"),
        ("it was in the middle of a line: " + MISSING,),
    ],
)
def test_a_failure_that_something_missing_does_not_explain_is_one(lines: tuple[str, ...]) -> None:
    result = judge(python(""), 2, lines, 1.0)
    assert (result.failed, result.short) == (1, False)


def test_what_pip_says_counts_for_programs_that_run_it() -> None:
    said = ("ERROR: No matching distribution found for pylint==4.0.1",)
    assert judge(python(""), 1, said, 1.0).failed == 1
    assert judge(replace(python(""), downloads=True), 1, said, 1.0).unavailable == ("pylint 4.0.1 (the index does not have it)",)


PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - vfio.variants.test_image: {suite: "{{ item }}", mirror: "%s", cache: "%s"}
      loop: [trixie, %s]
"""


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("second", "short"), [("forky", True), ("not-a-suite", False)])
def test_the_archives_fault_is_told_from_ours_through_ansible(tmp_path: Path, second: str, short: bool) -> None:
    (tmp_path / "empty").mkdir()
    playbook = tmp_path / "playbook.yml"
    with served(tmp_path / "empty") as address:
        playbook.write_text(PLAYBOOK % (address, tmp_path / "cache", second), encoding="utf-8")
        env = {**os.environ, "ANSIBLE_NOCOLOR": "1", "no_proxy": "127.0.0.1", "ANSIBLE_LOCALHOST_WARNING": "0"}
        result = run(Check("a scenario", ("ansible-playbook", "-i", "localhost,", "-c", "local", str(playbook)), tmp_path, env))
    assert (result.failed, result.short) == (int(not short), short)
    assert any("trixie" in name for name in result.unavailable)


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


@pytest.mark.parametrize("where", ["here", "in another lane"])
def test_what_an_interrupted_program_leaves_is_tidied_up(tmp_path: Path, where: str) -> None:
    tidy = (sys.executable, "-c", f"open({str(tmp_path / 'tidied')!r}, 'w')")
    begun = tmp_path / "begun"
    waits = replace(python(f"import time; open({str(begun)!r}, 'w'); time.sleep(60)", cleanup=tidy), lane=where)
    interrupts = f"import pathlib, signal, os, time\nwhile not pathlib.Path({str(begun)!r}).exists(): time.sleep(0.05)\n"
    checks = [python(""), waits] if where != "here" else [waits]
    before = signal.signal(signal.SIGTERM, end)
    try:
        with subprocess.Popen([sys.executable, "-c", f"{interrupts}os.kill({os.getpid()}, signal.SIGTERM)"]), pytest.raises(SystemExit):
            run_in_lanes(checks)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (tmp_path / "tidied").exists()


def test_a_program_that_is_not_there_is_one_clear_sentence() -> None:
    with pytest.raises(DevtoolError, match=r"^/nowhere/tool cannot be run: No such file or directory$"):
        run(Check("a check", ("/nowhere/tool",), HERE, {}))


def test_what_a_program_leaves_in_the_background_is_not_waited_for() -> None:
    start = time.monotonic()

    result = run(python("import subprocess; print(subprocess.Popen(['sleep', '10'], start_new_session=True).pid)"))

    assert result.passed == 1
    assert time.monotonic() - start < 8

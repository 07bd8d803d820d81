# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in processes, and what becomes of it when the program is ended: real processes, and real signals."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import forked
import pytest

PROGRAM = """
import contextlib, pathlib, signal, sys, time
sys.path.insert(0, sys.argv[1])
from forked import in_processes

place = pathlib.Path(sys.argv[2])
signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))

def work(name):
    (place / f"{name}.began").touch()
    try:
        time.sleep(60 if name != "quick" else 0)
    finally:
        (place / f"{name}.ended").touch()

names = ["quick", *"abcde"] if sys.argv[3] == "between" else "abcde"
with contextlib.closing(in_processes(work, [[name] for name in names], 2)) as found:
    for _one in found:
        (place / "between").touch()
        time.sleep(60)
"""


def test_results_come_in_order() -> None:
    assert list(forked.in_processes(lambda item: item * 2, [[1, 2], [3], [4, 5]], 2)) == [[2, 4], [6], [8, 10]]


@pytest.mark.parametrize(("moment", "shown_by"), [("waiting", "b.began"), ("between", "between")])
def test_a_program_that_is_ended_ends_its_work_well_and_begins_no_other(tmp_path: Path, moment: str, shown_by: str) -> None:
    folder = str(Path(forked.__file__).parent)
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, folder, str(tmp_path), moment])
    try:
        deadline = time.monotonic() + 30
        while not (tmp_path / shown_by).exists() or not (tmp_path / "b.began").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        program.send_signal(signal.SIGTERM)
        assert program.wait(timeout=30) == 128 + signal.SIGTERM
    finally:
        program.kill()
    began, ended = ({path.stem for path in tmp_path.glob(f"*.{word}")} for word in ("began", "ended"))
    assert began == ended
    assert "e" not in began

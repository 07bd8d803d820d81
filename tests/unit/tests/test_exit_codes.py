# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the programs of the tests end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from ansible_collections.vfio.variants.tests.exit_codes import ended_by_exception, exit_code

PROGRAM = """
import contextlib, subprocess, sys
from ansible_collections.vfio.variants.tests.exit_codes import exit_code

def work():
    machine = subprocess.Popen(["sleep", "600"], start_new_session=True)
    with contextlib.ExitStack() as ends:
        ends.callback(machine.wait)
        ends.callback(machine.kill)
        print(machine.pid, flush=True)
        machine.wait()
    return 0

sys.exit(exit_code(work))
"""


def test_a_signal_ends_what_a_program_has_begun() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ) as program:
        assert program.stdout is not None
        machine = int(program.stdout.readline())
        program.terminate()
        assert program.wait(timeout=60) == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(machine, 0)


def test_a_signal_that_is_ignored_stays_so_and_handlers_return() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_exception(signal.SIGHUP):
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.01)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert exit_code(lambda: 7) == 7
    assert signal.getsignal(signal.SIGHUP) == before

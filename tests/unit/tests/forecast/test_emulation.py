# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest's emulator ends by itself, or at a limit that a busy machine stretches."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from emulation import emulate

POOL = """
import concurrent.futures, sys
from ansible_collections.vfio.variants.tests.exit_codes import exit_code
from emulation import emulate

GUEST = (sys.executable, "-c", "import os, time; print(os.getpid(), file=open(os.environ['PLACE'], 'a'), flush=True); time.sleep(600)")

def work():
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for said in pool.map(lambda number: emulate(GUEST, {}, 600), range(3)):
            print(said)
    return 0

sys.exit(exit_code(work))
"""


def program(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text)


def test_what_ends_well_says_nothing_and_what_fails_says_what_it_wrote() -> None:
    assert emulate(program("pass"), {}, 60) == ""
    assert emulate(program("import sys; sys.exit('no such disk')"), {}, 60) == "QEMU ended with 1: no such disk\n"


@pytest.mark.parametrize(("load", "seconds"), [(0.0, 2), (3.0, 6)])
def test_a_hang_is_ended_later_where_more_wants_the_processors(monkeypatch: pytest.MonkeyPatch, load: float, seconds: float) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load * (os.cpu_count() or 1), 0.0, 0.0))
    start = time.monotonic()
    assert "the guest had not ended after" in emulate(program("import time; time.sleep(600)"), {}, seconds / max(load, 1.0))
    assert time.monotonic() - start >= seconds


def test_a_signal_ends_the_guests_of_a_pool_of_threads(tmp_path: Path) -> None:
    place = tmp_path / "guests"
    place.touch()
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PLACE": str(place)}
    with subprocess.Popen([sys.executable, "-c", POOL], env=env) as pool:
        while len(place.read_text(encoding="utf-8").split()) < 2:
            assert pool.poll() is None
            time.sleep(0.05)
        pool.terminate()
        assert pool.wait(timeout=60) == 128 + signal.SIGTERM
    for guest in place.read_text(encoding="utf-8").split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(guest), 0)

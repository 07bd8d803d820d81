# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine ends by itself, at a limit that a busy machine stretches, or with the program; shell scripts stand in QEMU's place."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import typing as t
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.function import PROFILES
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local import python_path
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine import processes
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.ending_machine import Ended, run_to_end
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.qemu_program import Qemu

HANG = "echo $$ > hanging; exec sleep 600"
#: A program with guests in two threads, each of which says which process it is and then hangs.
#: Signals that are ignored where the tests themselves run in the background count for it.
POOL = f"""
import concurrent.futures, signal, sys
from pathlib import Path
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.ending_machine import run_to_end
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.qemu_program import Qemu
from ansible_collections.vfio.variants.tests.exit_codes import exit_code, is_ending

def guest(name):
    folder = Path(sys.argv[1], name)
    folder.mkdir()
    return run_to_end(folder, Qemu(("sh", "-c", "{HANG}"), (), ""), (), 600, is_ending)

def work():
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for ended in pool.map(guest, "abc"):
            print(ended.problem)
    return 0

for number in (signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_DFL)
sys.exit(exit_code(work) if sys.argv[2] == "pool" else guest("a"))
"""
ROOT = python_path.COLLECTION


def never() -> bool:
    return False


def ended(folder: Path, script: str, timeout: float = 60, is_over: t.Callable[[], bool] = never, **given: t.Any) -> Ended:
    return run_to_end(folder, Qemu(("sh", "-c", script, "qemu"), (), "", {"MARK": "mark"}), ("-word",), timeout, is_over, **given)


def hanging(folder: Path) -> list[int]:
    """The processes that stand in QEMU's place there and have not ended."""
    pids = [int(path.read_text(encoding="utf-8") or 0) for path in folder.rglob("hanging")]
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def await_none(folder: Path) -> None:
    until = time.monotonic() + 60
    while hanging(folder):
        assert time.monotonic() < until
        time.sleep(0.05)


@contextlib.contextmanager
def started(folder: Path, what: str) -> t.Iterator[subprocess.Popen[bytes]]:
    """The program, which is killed if it has not ended by then."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", POOL, folder, what], env=environment) as program:
        try:
            yield program
        finally:
            program.kill()


def test_what_ends_well_says_nothing_and_what_fails_says_what_it_wrote(tmp_path: Path) -> None:
    assert ended(tmp_path, "exit 0") == Ended("", False, "", "")
    assert ended(tmp_path, "echo no such disk >&2; exit 1").problem == "QEMU ended with 1: no such disk\n"
    assert ended(tmp_path, "kill -KILL $$").problem == "QEMU ended with -9: "


def test_it_has_two_serial_ports_its_environment_and_the_folder(tmp_path: Path) -> None:
    said = ended(tmp_path, r'printf "%s\r\n" "$PWD $MARK" "$@" > console.log; printf "\377@end\n" > report.log')
    assert said.console.splitlines() == [f"{tmp_path} mark", "-word", "-serial", "file:console.log", "-serial", "file:report.log"]
    assert (said.report, said.problem) == ("\ufffd@end\n", "")


def test_nothing_of_an_earlier_run_is_taken_for_its_own(tmp_path: Path) -> None:
    assert ended(tmp_path, "echo one | tee console.log > report.log").report == "one\n"
    assert ended(tmp_path, "exit 0") == Ended("", False, "", "")


@pytest.mark.parametrize(("load", "seconds"), [(0.0, 2), (3.0, 6)])
def test_a_hang_is_ended_later_where_more_wants_the_processors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: float, seconds: float
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load * (os.cpu_count() or 1), 0.0, 0.0))
    start = time.monotonic()
    said = ended(tmp_path, f"echo so far > console.log; {HANG}", seconds / max(load, 1.0))
    assert re.fullmatch(r"the guest had not ended after \d+ s", said.problem)
    assert (said.is_late, said.console) == (True, "so far\n")
    assert time.monotonic() - start >= seconds
    assert hanging(tmp_path) == []


def test_what_is_over_is_ended(tmp_path: Path) -> None:
    answers = [False, True]
    said = ended(tmp_path, HANG, is_over=lambda: answers.pop(0))
    assert (said.problem, said.is_late, answers) == ("the guest was ended while it was running", False, [])
    assert hanging(tmp_path) == []


def test_an_exception_ends_it(tmp_path: Path) -> None:
    def leave() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ended(tmp_path, HANG, is_over=leave)
    assert (tmp_path / "hanging").exists()
    assert hanging(tmp_path) == []
    assert processes.running(tmp_path) == {}


def test_emulated_functions_are_there_before_qemu_and_end_with_it(tmp_path: Path) -> None:
    said = ended(tmp_path, "test -S gpu.sock", functions={"gpu": PROFILES["npu2"]})
    assert said.problem == ""
    assert not (tmp_path / "gpu.sock").exists()
    assert "LISTEN" in processes.access_log(tmp_path, "gpu").read_text(encoding="utf-8")


def test_a_server_that_ends_before_qemu_is_named(tmp_path: Path) -> None:
    killing = (
        f'until test -e running.json; do sleep 0.1; done; kill -KILL $(sed "s/.*gpu.: *{{.pid.: \\([0-9]*\\).*/\\1/" running.json); {HANG}'
    )
    assert ended(tmp_path, killing, functions={"gpu": PROFILES["npu2"]}).problem == "the server of the emulated gpu ended with -9: "
    await_none(tmp_path)


def test_a_server_that_does_not_start_keeps_qemu_from_starting(tmp_path: Path) -> None:
    rom = tmp_path / "rom"
    rom.write_bytes(b"rom")
    function = replace(PROFILES["npu2"], rom=str(rom))
    rom.unlink()
    said = ended(tmp_path, "touch ran", functions={"gpu": function})
    assert said.problem.startswith("the machine did not start: The emulated function behind gpu.sock did not start.")
    assert f"vfio-user server: {rom}" in said.problem or f"vfio-user server: rom is '{rom}'" in said.problem
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_the_guests_of_a_pool_of_threads(tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path, "pool") as pool:
        while len(hanging(tmp_path)) < 2:
            assert pool.poll() is None
            time.sleep(0.05)
        pool.send_signal(number)
        assert pool.wait(timeout=60) == 128 + number
    assert len(list(tmp_path.rglob("hanging"))) == 2
    assert hanging(tmp_path) == []


def test_a_program_that_is_killed_leaves_no_guest(tmp_path: Path) -> None:
    with started(tmp_path, "one") as one:
        while not hanging(tmp_path):
            assert one.poll() is None
            time.sleep(0.05)
        one.kill()
    await_none(tmp_path)


def test_nothing_but_the_supervisor_starts_an_emulator() -> None:
    """What stands in front of its arguments is known to those that describe it and to the one that hands it to the supervisor."""
    places = {"plugins/plugin_utils/_testbed/machine/processes.py", "plugins/plugin_utils/_testbed/machine/qemu_program.py"}
    found = {
        str(path.relative_to(ROOT))
        for top in ("plugins", "tests", "tools")
        for path in (ROOT / top).rglob("*.py")
        if re.search(r"\.emulator\b|['\"]qemu-system", path.read_text(encoding="utf-8")) and "unit" not in path.parts
    }
    assert found == places

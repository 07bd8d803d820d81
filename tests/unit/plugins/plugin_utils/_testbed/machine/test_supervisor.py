# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine's processes live and die together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.process import Process
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine import supervisor

COLLECTION = Path(supervisor.__file__).parents[4]
SERVER = "import socket, time; s = socket.socket(socket.AF_UNIX); s.bind('gpu0.sock'); time.sleep(300)"


@dataclass
class Bench:
    """A folder in which a supervisor runs one server and something in QEMU's place."""

    folder: Path

    def launch(self, server: list[str], qemu: list[str]) -> int:
        servers = [{"name": "gpu0", "argv": server, "socket": "gpu0.sock", "errors": "gpu0.errors.log"}]
        launch = {"servers": servers, "qemu": qemu, "environment": {"MARK": "mark"}, "errors": "qemu.log", "program": None}
        (self.folder / "launch.json").write_text(json.dumps(launch), encoding="utf-8")
        tree = self.folder / "python/ansible_collections/vfio"
        tree.mkdir(parents=True)
        (tree / "variants").symlink_to(COLLECTION)
        with (self.folder / "supervisor.log").open("wb") as log:
            return subprocess.run(
                (sys.executable, "-m", supervisor.__name__),
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(self.folder / "python")},
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=120,
                check=False,
            ).returncode

    def processes(self) -> dict[str, Process]:
        running = self.folder / "running.json"
        if not running.exists():
            return {}
        return {name: Process(**facts) for name, facts in json.loads(running.read_text(encoding="utf-8")).items()}


@pytest.fixture(name="bench")
def fixture_bench(tmp_path: Path) -> t.Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    for process in bench.processes().values():
        process.stop(20)


def test_all_of_them_run_and_are_named(bench: Bench) -> None:
    assert bench.launch([sys.executable, "-c", SERVER], ["sleep", "300"]) == 0
    processes = bench.processes()
    assert sorted(processes) == ["gpu0", "qemu", "supervisor"]
    assert all(process.alive() for process in processes.values())


@pytest.mark.parametrize("victim", ["gpu0", "qemu"])
def test_when_one_ends_the_others_end_and_it_is_noted_which(bench: Bench, victim: str) -> None:
    bench.launch([sys.executable, "-c", SERVER], ["sleep", "300"])
    processes = bench.processes()
    os.kill(processes[victim].pid, signal.SIGKILL)
    assert all(process.wait(60) for process in processes.values())
    assert not (bench.folder / "running.json").exists()
    assert json.loads((bench.folder / "ended.json").read_text(encoding="utf-8")) == {"name": victim, "status": -signal.SIGKILL}


def test_when_the_supervisor_is_asked_to_end_all_end(bench: Bench) -> None:
    bench.launch([sys.executable, "-c", SERVER], ["sleep", "300"])
    processes = bench.processes()
    processes["supervisor"].stop(60)
    assert not any(process.alive() for process in processes.values())
    assert not (bench.folder / "ended.json").exists()


def test_when_the_supervisor_is_killed_all_end(bench: Bench) -> None:
    bench.launch([sys.executable, "-c", SERVER], ["sleep", "300"])
    processes = bench.processes()
    os.kill(processes["supervisor"].pid, signal.SIGKILL)
    assert all(process.wait(30) for process in processes.values())


def test_a_server_that_does_not_start_keeps_qemu_from_starting(bench: Bench) -> None:
    assert bench.launch(["sh", "-c", "echo no such profile >&2; exit 1"], ["touch", "qemu-ran"]) != 0
    assert not (bench.folder / "qemu-ran").exists()
    assert "gpu0.sock did not start" in (bench.folder / "supervisor.log").read_text(encoding="utf-8")
    assert "no such profile" in (bench.folder / "gpu0.errors.log").read_text(encoding="utf-8")


def test_qemu_gets_its_environment_and_its_output_is_kept(bench: Bench) -> None:
    bench.launch([sys.executable, "-c", SERVER], ["sh", "-c", "echo $MARK >&2; exec sleep 300"])
    deadline = time.monotonic() + 30
    while not (bench.folder / "qemu.log").read_text(encoding="utf-8"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert (bench.folder / "qemu.log").read_text(encoding="utf-8") == "mark\n"

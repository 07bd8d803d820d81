# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of a machine in its folder: emulated functions and QEMU below one supervisor, their start and their end."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import typing as t
from dataclasses import asdict
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.function import PciFunction
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local import python_path
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import write_atomic
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.process import Process
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine import command_line, supervisor
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.qemu_program import Qemu

#: What the supervisor and QEMU have written.
SUPERVISOR_LOG, QEMU_LOG = "supervisor.log", "qemu.log"
_ERRORS = ".errors.log"
_END_PATIENCE = 20.0
_LAUNCH_PATIENCE = 120.0


def prepare(folder: Path, functions: t.Mapping[str, PciFunction]) -> None:
    """Make the folder ready for a start: without what an earlier one has left, and with the functions' descriptions."""
    python_path.link(folder / "python")
    for old in (*folder.glob("*.log"), *folder.glob("*.sock"), folder / supervisor.RUNNING, folder / supervisor.ENDED):
        old.unlink(missing_ok=True)
    for name, function in functions.items():
        write_atomic(folder / f"{name}.json", function.to_json())


def start(folder: Path, functions: t.Iterable[str], qemu: Qemu, arguments: t.Sequence[str]) -> bool:
    """Start a machine that outlives this program: whether the supervisor says that all run."""
    with _launched(folder, functions, qemu, arguments, None) as launcher:
        return launcher.wait(_LAUNCH_PATIENCE) == 0


def attended(
    folder: Path, functions: t.Iterable[str], qemu: Qemu, arguments: t.Sequence[str]
) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    """A machine that ends with the block, or with this program; the supervisor of its processes, which ends when they have ended."""
    return _launched(folder, functions, qemu, arguments, Process.of(os.getpid()))


@contextlib.contextmanager
def _launched(
    folder: Path, functions: t.Iterable[str], qemu: Qemu, arguments: t.Sequence[str], program: Process | None
) -> t.Iterator[subprocess.Popen[bytes]]:
    launch = {
        "servers": [_server(folder, name) for name in functions],
        "qemu": (*qemu.emulator, *arguments),
        "environment": dict(qemu.environment),
        "errors": QEMU_LOG,
        "program": asdict(program) if program is not None else None,
    }
    write_atomic(folder / supervisor.LAUNCH, json.dumps(launch, indent=1))
    with (folder / SUPERVISOR_LOG).open("wb") as log:
        process = subprocess.Popen(
            python_path.command("machine.supervisor"),
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder / "python")},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_END_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def running(folder: Path) -> dict[str, Process]:
    """Those that run, by name."""
    found = {name: Process(**facts) for name, facts in (_noted(folder, supervisor.RUNNING) or {}).items()}
    return {name: process for name, process in found.items() if process.alive()}


def first_end(folder: Path) -> tuple[str, int] | None:
    """Which process ended first, and with what status; None where all were ended from outside, or were not all started."""
    noted = _noted(folder, supervisor.ENDED)
    return None if noted is None else (noted["name"], noted["status"])


def _noted(folder: Path, name: Path) -> dict[str, t.Any] | None:
    try:
        noted: dict[str, t.Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return noted


def end(folder: Path) -> None:
    """End every process at once."""
    processes = running(folder)
    owner = processes.pop("supervisor", None)
    if owner is not None:
        owner.stop(_END_PATIENCE)
    for process in processes.values():
        process.stop(1)
    (folder / supervisor.RUNNING).unlink(missing_ok=True)


def access_log(folder: Path, function: str) -> Path:
    return folder / f"{function}.log"


def error_log(folder: Path, function: str) -> Path:
    """What the function's server has written beside its access log."""
    return folder / f"{function}{_ERRORS}"


def error_logs(folder: Path) -> list[Path]:
    """Those of all functions."""
    return sorted(folder.glob(f"*{_ERRORS}"))


def _server(folder: Path, function: str) -> dict[str, t.Any]:
    socket, errors = command_line.socket_name(function), str(error_log(folder, function))
    files = ("--socket", socket, "--log", str(access_log(folder, function)), "--function", f"{function}.json", "--errors", errors)
    return {"name": function, "argv": (*python_path.command("vfio_user"), *files), "socket": socket, "errors": errors}

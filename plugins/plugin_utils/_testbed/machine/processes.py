# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of a machine in its folder: emulated functions and QEMU below one supervisor, their start and their end."""

from __future__ import annotations

import json
import os
import subprocess
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.function import PciFunction
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local import python_path
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import write_atomic
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.process import Process
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine import command_line, supervisor
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.qemu_program import Qemu

_END_PATIENCE = 20.0
_LAUNCH_PATIENCE = 120.0


def prepare(folder: Path, functions: t.Mapping[str, PciFunction]) -> None:
    """Make the folder ready for a start: without what an earlier one has left, and with the functions' descriptions."""
    python_path.link(folder / "python")
    for old in (*folder.glob("*.log"), *folder.glob("*.sock"), *folder.glob(supervisor.RUNNING.name)):
        old.unlink()
    for name, function in functions.items():
        write_atomic(folder / f"{name}.json", function.to_json())


def start(folder: Path, functions: t.Iterable[str], qemu: Qemu, arguments: t.Sequence[str]) -> bool:
    """Whether the supervisor says that all run."""
    servers = [_server(folder, name) for name in functions]
    argv = (*qemu.emulator, *arguments)
    launch = {"servers": servers, "qemu": argv, "environment": dict(qemu.environment), "errors": "qemu.log"}
    write_atomic(folder / supervisor.LAUNCH, json.dumps(launch, indent=1))
    with (folder / "supervisor.log").open("wb") as log:
        done = subprocess.run(
            python_path.command("machine.supervisor"),
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder / "python")},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=_LAUNCH_PATIENCE,
            check=False,
        )
    return done.returncode == 0


def running(folder: Path) -> dict[str, Process]:
    """Those that run, by name."""
    try:
        text = (folder / supervisor.RUNNING).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    found = {name: Process(**facts) for name, facts in json.loads(text).items()}
    return {name: process for name, process in found.items() if process.alive()}


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


def _server(folder: Path, function: str) -> dict[str, t.Any]:
    socket = command_line.socket_name(function)
    files = ("--socket", socket, "--log", str(access_log(folder, function)), "--function", f"{function}.json")
    argv = (*python_path.command("vfio_user"), *files)
    return {"name": function, "argv": argv, "socket": socket, "errors": f"{function}.errors.log"}

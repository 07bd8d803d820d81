# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that owns a machine's processes: emulated functions and QEMU live and die together.

Run in the machine's folder, it reads `launch.json` (what to start), writes `running.json` (what runs) and, when the
first of them ends, `ended.json` (which, and with what status), and ends the others.  Where `launch.json` names the
program that waits for the machine, all end with that program, too; else the machine outlives whoever started it.
It uses the standard library only.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import typing as t
from dataclasses import asdict
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import write_atomic
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.process import Process, readable, signal_descriptor

LAUNCH, RUNNING, ENDED = Path("launch.json"), Path("running.json"), Path("ended.json")
QEMU = "qemu"
#: Should the supervisor be killed, the kernel kills the others.
_DIE_WITH_SUPERVISOR = ("setpriv", "--pdeathsig", "KILL", "--")
_SOCKET_PATIENCE = 60.0
_LOOK_EVERY = 0.02
_END_PATIENCE = 10.0
Children = dict[str, subprocess.Popen[bytes]]


def main() -> int:
    """Supervise until the end where a program waits for it; else start a supervisor and return, with 0 when all run."""
    launch = json.loads(LAUNCH.read_text(encoding="utf-8"))
    if launch["program"] is not None:
        _supervise(launch, None)
        return 0
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        return 0 if os.read(reader, 1) else 1
    os.close(reader)
    os.setsid()
    _supervise(launch, writer)
    return 0


def _supervise(launch: t.Mapping[str, t.Any], ready: int | None) -> None:
    """`ready` is written to once all run."""
    children: Children = {}
    try:
        orders = [signal_descriptor(signal.SIGTERM), *_end_of(launch["program"])]
        for server in launch["servers"]:
            children[server["name"]] = _start(server["argv"], Path(server["errors"]), {})
        if not _listening([Path(server["socket"]) for server in launch["servers"]], children, orders):
            return
        children[QEMU] = _start(launch["qemu"], Path(launch["errors"]), launch["environment"])
        _announce(children)
        if ready is not None:
            os.write(ready, b"+")
            os.close(ready)
        _await_end(children, orders)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _end(children)
        RUNNING.unlink(missing_ok=True)


def _end_of(program: t.Mapping[str, t.Any] | None) -> t.Iterator[int]:
    """A descriptor that can be read once the program has ended, if there is one that the machine is to end with."""
    if program is not None:
        descriptor = os.pidfd_open(program["pid"])
        if not Process(**program).alive():
            sys.exit("The program that wanted this machine has ended.")
        yield descriptor


def _start(argv: t.Sequence[str], errors: Path, environment: t.Mapping[str, str]) -> subprocess.Popen[bytes]:
    with errors.open("wb") as output:
        return subprocess.Popen(
            (*_DIE_WITH_SUPERVISOR, *argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )


def _listening(sockets: t.Sequence[Path], children: Children, orders: t.Sequence[int]) -> bool:
    """Whether all emulated functions can be connected to; they cannot where there was the order to end."""
    deadline = time.monotonic() + _SOCKET_PATIENCE
    while missing := [path for path in sockets if not path.exists()]:
        if any(child.poll() is not None for child in children.values()) or time.monotonic() > deadline:
            sys.exit(f"The emulated function behind {missing[0]} did not start.")
        if readable(orders, _LOOK_EVERY):
            return False
    return not readable(orders, 0)


def _announce(children: Children) -> None:
    processes = {"supervisor": os.getpid(), **{name: child.pid for name, child in children.items()}}
    write_atomic(RUNNING, json.dumps({name: asdict(Process.of(pid)) for name, pid in processes.items()}))


def _await_end(children: Children, orders: t.Sequence[int]) -> None:
    """Until one of them ends, which is noted, or there is the order to end."""
    readable([*orders, *(os.pidfd_open(child.pid) for child in children.values())])
    # QEMU's end is the cause if a server's comes at the same time.
    for name, child in reversed(children.items()):
        if child.poll() is not None:
            print(f"{name} ended with status {child.returncode}", flush=True)
            write_atomic(ENDED, json.dumps({"name": name, "status": child.returncode}))
            return


def _end(children: Children) -> None:
    for child in children.values():
        child.terminate()
    deadline = time.monotonic() + _END_PATIENCE
    for child in children.values():
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()


if __name__ == "__main__":
    sys.exit(main())

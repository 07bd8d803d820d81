# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that owns a test machine's processes: emulated functions and QEMU live and die together.

Run in the machine's folder, it reads `launch.json` (what to start), writes `running.json` (what runs) and, when the
first of them ends, ends the others.  It uses the standard library only.
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
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.process import Process

LAUNCH, RUNNING = Path("launch.json"), Path("running.json")
#: Should the supervisor be killed, the kernel kills the others.
_DIE_WITH_SUPERVISOR = ("setpriv", "--pdeathsig", "KILL", "--")
_SOCKET_PATIENCE = 60.0
_END_PATIENCE = 10.0


class _Asked(BaseException):
    """Somebody asked the supervisor to end."""


def main() -> int:
    """Start a supervisor that outlives this process; 0 when the machine's processes run."""
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        return 0 if os.read(reader, 1) else 1
    os.close(reader)
    os.setsid()
    _supervise(writer)
    return 0


def _supervise(ready: int) -> None:
    launch = json.loads(LAUNCH.read_text(encoding="utf-8"))
    signal.signal(signal.SIGTERM, _raise_asked)
    children: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for server in launch["servers"]:
            children[server["name"]] = _start(server["argv"], Path(server["errors"]), {})
        _await_sockets([Path(server["socket"]) for server in launch["servers"]], children)
        children["qemu"] = _start(launch["qemu"], Path(launch["errors"]), launch["environment"])
        _announce(children)
        os.write(ready, b"+")
        os.close(ready)
        pid, status = os.wait()
        print(f"process {pid} ended with wait status {status}", flush=True)
    except _Asked:
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _end(children)
        RUNNING.unlink(missing_ok=True)


def _start(argv: t.Sequence[str], errors: Path, environment: t.Mapping[str, str]) -> subprocess.Popen[bytes]:
    with errors.open("wb") as output:
        return subprocess.Popen(
            (*_DIE_WITH_SUPERVISOR, *argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )


def _await_sockets(sockets: list[Path], children: t.Mapping[str, subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + _SOCKET_PATIENCE
    while missing := [path for path in sockets if not path.exists()]:
        if any(child.poll() is not None for child in children.values()) or time.monotonic() > deadline:
            sys.exit(f"The emulated function behind {missing[0]} did not start.")
        time.sleep(0.02)


def _announce(children: t.Mapping[str, subprocess.Popen[bytes]]) -> None:
    processes = {"supervisor": os.getpid(), **{name: child.pid for name, child in children.items()}}
    write_atomic(RUNNING, json.dumps({name: asdict(Process.of(pid)) for name, pid in processes.items()}))


def _end(children: t.Mapping[str, subprocess.Popen[bytes]]) -> None:
    for child in children.values():
        child.terminate()
    deadline = time.monotonic() + _END_PATIENCE
    for child in children.values():
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()


def _raise_asked(*_: object) -> None:
    raise _Asked


if __name__ == "__main__":
    sys.exit(main())

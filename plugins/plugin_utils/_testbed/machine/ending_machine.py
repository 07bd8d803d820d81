# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that ends by itself: its start, the wait for its end, and what it has said; nothing of it is left on any way out."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.function import PciFunction
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.deadline import Deadline
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.process import Process
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine import processes
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.command_line import CONSOLE, REPORT, SERIALS
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.qemu_program import Qemu
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.supervisor import QEMU

_LOOK_EVERY = 1.0
_LARGEST_TEXT = 64 << 20
_LONGEST_ERROR = 2000


@dataclass(frozen=True)
class Ended:
    """``problem``: why QEMU has not ended by itself and well, or empty. ``is_late``: whether it had not ended at its time limit.
    ``console``, ``report``: what the guest wrote to its first and its second serial port, up to 64 MiB of each.
    """

    problem: str
    is_late: bool
    console: str
    report: str


def run_to_end(
    folder: Path,
    qemu: Qemu,
    arguments: t.Sequence[str],
    timeout: float,
    is_over: t.Callable[[], bool],
    functions: t.Mapping[str, PciFunction] | None = None,
) -> Ended:
    """Start a machine with two serial ports in `folder`, the current one for its `arguments`, and wait for its end.

    It is ended after ``timeout`` seconds of an idle machine; once ``is_over``, which is asked each second, says so; by an exception here;
    and with this program, however that ends.  ``functions``: the emulated ones by their names.
    """
    served = functions or {}
    processes.prepare(folder, served)
    deadline, is_late, why = Deadline(timeout), False, ""
    with processes.attended(folder, served, qemu, (*arguments, *SERIALS)) as supervisor:
        process = Process.of(supervisor.pid)
        while not why and not process.wait(_LOOK_EVERY):
            is_late = deadline.passed()
            if is_late:
                why = f"the guest had not ended after {deadline.seconds:.0f} s"
            elif is_over():
                why = "the guest was ended while it was running"
    first = processes.first_end(folder)
    problem = why or _not_started(folder) if first is None else _problem(folder, *first)
    texts = (_text(folder / name) for name in (CONSOLE, REPORT))
    return Ended(problem, is_late and first is None, *texts)


def _problem(folder: Path, name: str, status: int) -> str:
    if name != QEMU:
        return f"the server of the emulated {name} ended with {status}: {_end_of(processes.error_log(folder, name))}"
    return "" if status == 0 else f"QEMU ended with {status}: {_end_of(folder / processes.QEMU_LOG)}"


def _not_started(folder: Path) -> str:
    said = [_end_of(path) for path in (folder / processes.SUPERVISOR_LOG, *processes.error_logs(folder), folder / processes.QEMU_LOG)]
    return f"the machine did not start: {' '.join(one for one in said if one)}"


def _end_of(path: Path) -> str:
    return _text(path)[-_LONGEST_ERROR:]


def _text(path: Path) -> str:
    """Empty where there is no such file, because nobody has come to write it."""
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_TEXT).decode("utf-8", "replace").replace("\r\n", "\n")
    except FileNotFoundError:
        return ""

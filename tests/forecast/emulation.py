# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulator of a guest, from its start to its end, and what the guest wrote meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.deadline import Deadline
from ansible_collections.vfio.variants.tests.exit_codes import is_ending

_LOOK_EVERY = 1.0


def emulate(words: t.Sequence[str], environment: t.Mapping[str, str], timeout: float) -> str:
    """What went wrong with the emulator itself, or the empty string.  ``timeout`` is in seconds of an idle machine."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            words,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        deadline = Deadline(timeout)
        try:
            while process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_EVERY)
                if process.poll() is None and is_ending():
                    return "the program was ended while the guest was running"
                if process.poll() is None and deadline.passed():
                    return f"the guest had not ended after {deadline.seconds:.0f} s"
            status = process.returncode
        finally:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
                process.wait()
        output.seek(0)
        return "" if status == 0 else f"QEMU ended with {status}: {output.read().decode(errors='replace')[-2000:]}"


def written(path: Path) -> str:
    """The text of a file that a guest writes; empty if there is none."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real commands for a host that is a tree: those that the tree itself has come first."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from pathlib import Path


@dataclasses.dataclass
class Commands:
    """A host's runner.  ``calls`` is what has been run, without the time limit in front."""

    root: Path
    calls: list[list[str]] = dataclasses.field(default_factory=list)

    def __call__(
        self,
        args: list[str],
        *,
        data: bytes | None,
        binary_data: bool,  # noqa: ARG002 - part of a runner's signature
        environ_update: dict[str, str] | None,
    ) -> tuple[int, str, str]:
        self.calls.append(args[3:] if args[0] == "timeout" else args)
        path = f"{self.root}/usr/sbin:{self.root}/usr/bin:{os.environ['PATH']}"
        return self.run(args, data, {**(environ_update or {}), "PATH": path})

    def run(self, args: list[str], data: bytes | None, environment: dict[str, str]) -> tuple[int, str, str]:
        """With these variables beside this process's own."""
        done = subprocess.run(args, input=data, capture_output=True, env={**os.environ, **environment}, check=False)
        return done.returncode, done.stdout.decode("utf-8", "surrogateescape"), done.stderr.decode("utf-8", "surrogateescape")

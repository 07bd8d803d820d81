# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The library that disturbs calls, and the page by which it is steered."""

from __future__ import annotations

import hashlib
import mmap
import os
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("fault.c")
HEAD = struct.Struct("iiiii")
PAGE = 8192
HANGS = 10000
"""In place of an error: a program that was started never goes on."""


def build() -> Path:
    """The library, compiled once for each version of its source."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vfio-variants"
    path = cache / f"fault-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]}.so"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}")
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", str(new), str(SOURCE), "-ldl"], check=True)
        new.replace(path)
    return path


@dataclass(frozen=True)
class Fault:
    """What happens at call ``at``: the process is killed if ``error`` is 0, else the call fails; with ``lasting`` all later ones too.

    A negative ``error`` is a signal that the run gets.
    """

    at: int
    error: int = 0
    lasting: bool = False


class Page:
    """The page that all processes of a trial share."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(bytes(PAGE))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), PAGE)

    def arm(self, fault: Fault, group: int, below: Path) -> None:
        text = str(below).encode() + b"\0"
        self._map[: HEAD.size + len(text)] = HEAD.pack(0, fault.at, fault.error, int(fault.lasting), group) + text

    def disarm(self) -> None:
        """Programs that are started from now on are not disturbed."""
        self._map[4:8] = bytes(4)

    @property
    def count(self) -> int:
        """How many calls there were."""
        return int(HEAD.unpack(self._map[: HEAD.size])[0])

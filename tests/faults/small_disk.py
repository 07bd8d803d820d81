# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host on a real file system that has room for so many pages or files more, or that is mounted read-only."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.vfio.variants.tests.faults.library import Fault
from ansible_collections.vfio.variants.tests.faults.trial import Bench

NAMESPACE = ("unshare", "--mount", "--propagation", "private", *(() if os.geteuid() == 0 else ("--map-root-user",)), "--")
"""What is mounted below it ends with its last process: nothing stays mounted, not even after SIGKILL."""
PAGE = resource.getpagesize()
ROOM = {"size": "64m", "nr_inodes": "20000"}
MOST = {"size": 2560, "nr_inodes": 128}
"""More than a run needs; before an image is built there have to be 8 MiB."""
UNDISTURBED = Fault(1 << 30)


@dataclass
class SmallDisk(Bench):
    """The scenario's host on a tmpfs. `limit` is the option that is kept small, or ``ro``."""

    limit: str = ""
    said: str = ""
    reached: int = 0
    """How many calls the last run came to."""

    def points(self, every: int) -> Iterator[tuple[Bench, Fault, str]]:
        """Each room, in pages and in files, with which the run gets further than with less; then none to write at all."""
        for self.limit, most in MOST.items():
            reached: dict[int, int] = {}
            spans = [(0, most)]
            while spans:
                low, high = spans.pop()
                for room in (high, low):
                    if room not in reached:
                        yield self, Fault(room, errno.ENOSPC, lasting=True), "ENOSPC"
                        reached[room] = self.reached
                if most not in reached or reached[most] < self.calls:
                    raise RuntimeError(f"{self.scenario.name} is not done with {most} of {self.limit}: {self.said}")
                if reached[low] != reached[high] and high - low > every:
                    middle = (low + high) // 2
                    spans += [(middle, high), (low, middle)]
        self.limit = "ro"
        yield self, Fault(0, errno.EROFS, lasting=True), "EROFS"

    def reset(self) -> None:
        """The tree as prepared, on a file system of its own without a page from before."""
        mount("--types", "tmpfs", "--options", _options(ROOM), "none", on=self.root)
        shutil.copytree(self.place / "prepared", self.root, symlinks=True, dirs_exist_ok=True)

    def disturbed(self, fault: Fault) -> str:
        if self.limit:
            self._tighten(fault.at)
        # The library counts only: it is the kernel that refuses.
        self.said = super().disturbed(UNDISTURBED)
        self.reached = self.page.count
        if self.limit:
            mount("--options", f"remount,rw,{_options(ROOM)}", on=self.root)
        return self.said

    def faults(self, fault: Fault) -> list[str]:
        try:
            return super().faults(fault)
        finally:
            unmount(self.root)

    def named(self, fault: Fault) -> str:
        return "mounted read-only" if self.limit == "ro" else f"{fault.at} more of {self.limit}"

    def _tighten(self, room: int) -> None:
        if self.limit == "ro":
            mount("--options", "remount,ro", on=self.root)
            return
        status = os.statvfs(self.root)
        used = {"size": (status.f_blocks - status.f_bfree) * status.f_frsize, "nr_inodes": status.f_files - status.f_ffree}
        least = used[self.limit] + room * (PAGE if self.limit == "size" else 1)
        mount("--options", f"remount,{_options({**ROOM, self.limit: str(least)})}", on=self.root)


@contextmanager
def mounted(*parts: Any) -> Iterator[SmallDisk]:
    """The bench, prepared; whatever happens, nothing is mounted on its root afterwards."""
    bench = SmallDisk(*parts)
    try:
        bench.prepare()
        yield bench
    finally:
        while os.path.ismount(bench.root):
            unmount(bench.root)


def mount(*words: str, on: Path) -> None:
    subprocess.run(("mount", *words, str(on)), check=True)


def unmount(root: Path) -> None:
    subprocess.run(("umount", str(root)), check=True)


def _options(options: dict[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in options.items())

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder that keeps images, QEMU, keys and running machines between runs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

_BUILDING = ".building-"
_LOOK_EVERY = 1.0


def default_root() -> Path:
    """`$XDG_CACHE_HOME/vfio-variants`, by the XDG base directory specification below ~/.cache when the variable is unset."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "vfio-variants"


@dataclass(frozen=True)
class Cache:
    root: Path

    @classmethod
    def at(cls, path: str | None) -> Cache:
        return cls(Path(path).expanduser().absolute() if path else default_root())

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def machines(self) -> Path:
        return self.root / "machines"

    @property
    def qemu(self) -> Path:
        return self.root / "qemu"

    @property
    def ssh(self) -> Path:
        return self.root / "ssh"

    @contextlib.contextmanager
    def lock(self, name: str) -> t.Iterator[None]:
        """Nobody else on this machine holds the lock `name` meanwhile; the kernel frees it when its holder dies."""
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{name}.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def building(self, target: Path) -> t.Iterator[Path]:
        """A new folder that becomes `target` when the block ends well, and vanishes when it does not.

        The caller holds the lock of the target's name.  What killed builders left beside it is removed first.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        self._remove_left_overs(target)
        folder = Path(tempfile.mkdtemp(prefix=f"{_BUILDING}{target.name}-", dir=target.parent))
        try:
            folder.chmod(0o755)
            yield folder
            folder.rename(target)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _remove_left_overs(self, target: Path) -> None:
        for left_over in target.parent.glob(f"{_BUILDING}*"):
            builds = left_over.name.removeprefix(_BUILDING).rpartition("-")[0]
            with contextlib.nullcontext(True) if builds == target.name else self.lock_at_once(builds) as dead:
                if dead:
                    shutil.rmtree(left_over)

    @contextlib.contextmanager
    def lock_at_once(self, name: str) -> t.Iterator[bool]:
        """Whether the lock was free, and held meanwhile if so."""
        (self.root / "locks").mkdir(parents=True, exist_ok=True)
        with (self.root / "locks" / f"{name}.lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True


@contextlib.contextmanager
def one_of(cache: Cache, name: str, most: int) -> t.Iterator[int]:
    """One of so many places, which no other holder of one has meanwhile; waits until one is free."""
    while True:
        for number in range(most):
            with cache.lock_at_once(f"{name}-{number}") as is_free:
                if is_free:
                    yield number
                    return
        time.sleep(_LOOK_EVERY)


def write_atomic(path: Path, content: str) -> None:
    """Replace the file in one step, so that a reader sees the old or the new content and nothing between."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(content, encoding="utf-8")
    partial.replace(path)

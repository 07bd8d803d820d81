# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations as roots of hosts for the collection to read."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import root_files
import sysfs
from configuration import Configuration
from kernel import Kernel, module_name, read_dependencies

CAPTURED = "sysfs.json"
"""In a kernel's folder: what sysfs looked like in a plain boot of it."""

_MEMORY = "/dev/shm"
_ROOM = 1 << 28
_Likeness = tuple[str, int, tuple[str, ...]]


def likeness(configuration: Configuration) -> _Likeness:
    """The same for configurations whose hosts differ in the configurations' own files alone."""
    return configuration.series, configuration.virtual_functions, configuration.missing_modules


def in_memory() -> str | None:
    """A folder in memory to lay trees out in, if there is one with room: a thousand trees are a million files."""
    if not os.access(_MEMORY, os.W_OK | os.X_OK):
        return None
    free = os.statvfs(_MEMORY)
    return _MEMORY if free.f_bavail * free.f_frsize >= _ROOM else None


@dataclass(frozen=True)
class HostTrees:
    """``kernel_of`` gives a series' kernel.  What successive configurations have in common is laid out once, below ``place``."""

    kernel_of: Callable[[str], Kernel]
    place: Path
    _common: dict[_Likeness, Path] = field(default_factory=dict)

    def lay_out(self, configuration: Configuration, folder: Path) -> Path:
        """Below `folder` the root of a host that has the configuration and runs its kernel."""
        kernel = self.kernel_of(configuration.series)
        root_files.link_tree(self._like(configuration, kernel), folder)
        root_files.lay_out(configuration, kernel, folder)
        return folder

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """One to lay trees out in; they end with the block."""
        with tempfile.TemporaryDirectory(prefix="tree-", dir=self.place) as name:
            yield Path(name)

    def _like(self, configuration: Configuration, kernel: Kernel) -> Path:
        """A tree with all but the configuration's own files."""
        key = likeness(configuration)
        if key not in self._common:
            while self._common:
                shutil.rmtree(self._common.popitem()[1])
            root = Path(tempfile.mkdtemp(prefix="like-", dir=self.place))
            root_files.lay_out_kernel(configuration, kernel, root)
            captured = (kernel.folder / CAPTURED).read_text(encoding="utf-8")
            loadable = {module_name(path) for path in read_dependencies(kernel.modules)}
            sysfs.lay_out(captured, root, configuration.virtual_functions, loadable)
            self._common[key] = root
        return self._common[key]

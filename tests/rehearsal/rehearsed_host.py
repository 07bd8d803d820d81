# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host, rehearsed as the action does it: its list, the files that are wanted, and the boot."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
import typing as t
from dataclasses import dataclass, replace
from pathlib import Path

import comparison
import rehearsal_hosts
import rehearsal_image
from rehearsal_image import DiskImages
from world_configuration import World
from world_tree import WorldTrees

from ansible_collections.vfio.variants.plugins.module_utils._core.host.tree_archive import FILE, TreeEntry
from ansible_collections.vfio.variants.plugins.module_utils._core.report.rehearsal_files import FilesRequest, gather
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress, Say, silent
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal import boot_words
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.boot import STILL
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.file_store import Collected, FileStore
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.rehearsal import Rehearsal, RehearsalSettings

_IMAGE = "/boot/rehearsal.img"
_MOST_BYTES = 4 << 30


class Steps(Progress):
    """Notes how long each step of one host takes; what only says that a step goes on is none."""

    def __init__(self, subject: str, say: Say = silent) -> None:
        super().__init__(subject, say)
        self._begun: tuple[str, float] = ("", time.monotonic())
        self.known: list[tuple[str, float]] = []

    def __call__(self, step: str) -> None:
        super().__call__(step)
        if step.startswith(STILL):
            return
        now = time.monotonic()
        name, start = self._begun
        if name:
            self.known.append((name, now - start))
        self._begun = (step, now)

    def end(self) -> None:
        """The end of the last one."""
        self("")

    def text(self) -> str:
        return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.known)


@dataclass(frozen=True)
class Rehearsals:
    """What successive hosts have in common."""

    trees: WorldTrees
    images: DiskImages
    settings: RehearsalSettings
    windows: t.Mapping[str, str]

    def result(self, world: World, steps: Steps) -> dict[str, t.Any]:
        """As the action returns it.  Raises HostError where the host was not booted."""
        with tempfile.TemporaryDirectory(prefix="host-", dir=self.trees.place) as name:
            folder = Path(name)
            steps("laying out the host")
            root = rehearsal_hosts.lay_out(self.trees, world, folder / "root", self.windows)
            steps("listing its files, with the forecast")
            collected = _listed(root, folder)
            disk, _said = boot_words.storage_of(tuple(rehearsal_image.DISKS), collected.facts["functions"])
            steps("making the image that finds the disk")
            collected = _with_image(collected, root, self.images.image(world, disk), disk)
            store = FileStore.of(self.images.cache, f"tests/rehearsal {world.name}")
            try:
                steps("sending what is lacking")
                _send(root, folder, collected, store)
                return Rehearsal(self.images.cache, store, collected, self.settings, steps).run()
            finally:
                store.forget()


def _listed(root: Path, folder: Path) -> Collected:
    answer = gather(str(root), comparison.run, FilesRequest(str(folder), ("next",), _MOST_BYTES))
    return Collected.read(Path(answer["path"]))


def _with_image(collected: Collected, root: Path, image: bytes, disk: str) -> Collected:
    """The same host, with the image that mounts its root in front of its own, which say nothing about any disk."""
    place = root / _IMAGE.lstrip("/")
    place.write_bytes(image)
    entry = TreeEntry(_IMAGE, FILE, 0o644, 0, 0, len(image), hashlib.sha256(image).hexdigest())
    (kernel,) = collected.facts["kernels"]
    changed = {**kernel, "initrds": [_IMAGE, *kernel["initrds"]]}
    if kernel["no_modules"] is None:
        # Else its modules help no more than the host's.
        changed |= {"storage": [disk], "file_system": True}
    return replace(collected, entries=(*collected.entries, entry), facts={**collected.facts, "kernels": [changed]})


def _send(root: Path, folder: Path, collected: Collected, store: FileStore) -> None:
    wanted = [entry.path for entry in store.lacks(collected.entries)]
    (folder / "wanted").write_text(json.dumps(wanted), encoding="utf-8")
    following = 0
    while following < len(wanted):
        request = FilesRequest(str(folder), ("next",), _MOST_BYTES, wanted=str(folder / "wanted"), first=following)
        answer = gather(str(root), comparison.run, request)
        store.take(Path(answer["path"]))
        following = answer["next"]

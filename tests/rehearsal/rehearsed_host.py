# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host, rehearsed as the action does it: its list, the files that are wanted, and the boot."""

from __future__ import annotations

import hashlib
import json
import tempfile
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
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal import boot_words
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.file_store import Collected, FileStore
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.rehearsal import Rehearsal, RehearsalSettings

_IMAGE = "/boot/rehearsal.img"
_MOST_BYTES = 4 << 30


@dataclass(frozen=True)
class Rehearsals:
    """What successive hosts have in common."""

    trees: WorldTrees
    images: DiskImages
    settings: RehearsalSettings
    windows: t.Mapping[str, str]

    def result(self, world: World) -> dict[str, t.Any]:
        """As the action returns it.  Raises HostError where the host was not booted."""
        with tempfile.TemporaryDirectory(prefix="host-", dir=self.trees.place) as name:
            folder = Path(name)
            root = rehearsal_hosts.lay_out(self.trees, world, folder / "root", self.windows)
            collected = _listed(root, folder)
            disk, _said = boot_words.storage_of(tuple(rehearsal_image.DISKS), collected.facts["functions"])
            collected = _with_image(collected, root, self.images.image(world, disk), disk)
            store = FileStore.of(self.images.cache, f"tests/rehearsal {world.name}")
            try:
                _send(root, folder, collected, store)
                return Rehearsal(self.images.cache, store, collected, self.settings, Progress(world.name, _quiet)).run()
            finally:
                store.forget()


def _quiet(_line: str) -> None:
    pass


def _listed(root: Path, folder: Path) -> Collected:
    answer = gather(str(root), comparison.run, FilesRequest(str(folder), ("next",), _MOST_BYTES))
    return Collected.read(Path(answer["path"]))


def _with_image(collected: Collected, root: Path, image: bytes, disk: str) -> Collected:
    """The same host, with the image that mounts its root in front of its own, which say nothing about any disk."""
    place = root / _IMAGE.lstrip("/")
    place.write_bytes(image)
    entry = TreeEntry(_IMAGE, FILE, 0o644, 0, 0, len(image), hashlib.sha256(image).hexdigest())
    (kernel,) = collected.facts["kernels"]
    changed = {**kernel, "initrds": [_IMAGE, *kernel["initrds"]], "storage": [disk], "file_system": True}
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

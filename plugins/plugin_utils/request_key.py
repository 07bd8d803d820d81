# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands for a request to the role vfio_host: a digest of its options, of the drivers' sources and of the collection's code.

Ansible compiles what a collection's plugin imports in each run, so this imports next to nothing.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, cut
from ansible_collections.vfio.variants.plugins.plugin_utils.once_per_run import once_per_run
from ansible_collections.vfio.variants.plugins.plugin_utils.own_package import own_package

COLLECTION = Path(__file__).parents[2]
CODE = ("plugins/action", "plugins/module_utils", "plugins/modules", "plugins/plugin_utils", "roles")

Find = t.Callable[[str], Path]
"""The folder of sources that are not the collection's own."""


def code_digest(collection: Path = COLLECTION) -> str:
    """Of every file that decides what a run does."""
    return _digest(collection, (path for folder in CODE for path in _files(collection / folder) if path.endswith((".py", ".yml"))))


def sources_digest(folder: Path) -> str:
    """Of every file of a driver package.  Raises HostError if there is none."""
    if not folder.is_dir():
        raise HostError(f"request.drivers_sources: {cut(str(folder))} is not a directory.", "Name driver packages.")
    return _digest(folder, _files(folder))


def _files(folder: Path) -> t.Iterator[str]:
    """The paths of all files below it.  Strings, because objects for hundreds of paths take longer than reading the files."""
    for place, _folders, names in os.walk(folder):
        yield from (os.path.join(place, name) for name in names)


def _digest(above: Path, paths: t.Iterable[str]) -> str:
    whole = hashlib.sha256()
    skipped = len(str(above)) + 1
    for path in sorted(paths):
        if not os.path.isfile(path):
            continue
        with open(path, "rb", buffering=0) as file:
            mode = os.fstat(file.fileno()).st_mode & 0o111
            content = hashlib.sha256(file.readall()).hexdigest()
        whole.update(f"{path[skipped:]}\0{mode}\0{content}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


def folders_of(request: t.Mapping[str, t.Any], find: Find) -> dict[str, Path]:
    """The folders of the driver packages that the role installs or removes, by the names that were given."""
    if not request.get("drivers", True):
        return {}
    sources = request.get("drivers_sources", ["vfio-variants"])
    if not isinstance(sources, list) or not all(isinstance(source, str) for source in sources):
        raise HostError(f"request.drivers_sources: {cut(repr(sources))} is not a list of names.", "Name driver packages.")
    return {source: own_package(source) or find(source) for source in sources}


def key_of(request: t.Mapping[str, t.Any], folders: t.Mapping[str, Path]) -> str:
    """Files are read once for all hosts of a run."""
    sources = [once_per_run(f"sources {folder}", functools.partial(sources_digest, folder)) for folder in folders.values()]
    code = once_per_run("code", code_digest)
    return hashlib.sha256(json.dumps([code, sources, request], sort_keys=True, default=str).encode()).hexdigest()

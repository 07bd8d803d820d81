# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands for a request to the role vfio_host: a digest of its options, of the drivers' sources and of the collection's code."""

from __future__ import annotations

import hashlib
import json
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, cut
from ansible_collections.vfio.variants.plugins.plugin_utils.once_per_run import once_per_run
from ansible_collections.vfio.variants.plugins.plugin_utils.source_archive import SourceArchive, own_package

COLLECTION = Path(__file__).parents[2]
CODE = ("plugins/action", "plugins/module_utils", "plugins/modules", "plugins/plugin_utils", "roles")

Package = dict[str, t.Any]
Find = t.Callable[[str], Path]
"""The folder of sources that are not the collection's own."""


def code_digest(collection: Path = COLLECTION) -> str:
    """Of every file that decides what a run does."""
    whole = hashlib.sha256()
    for folder in CODE:
        for path in sorted((collection / folder).rglob("*")):
            if path.suffix in (".py", ".yml") and path.is_file():
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                whole.update(f"{path.relative_to(collection)}\0{content}\n".encode())
    return whole.hexdigest()


def described(source: str, find: Find) -> Package:
    """A driver package as the modules take it; read once for all hosts of a run.  Raises HostError if there is none."""
    folder = own_package(source) or find(source)

    def read() -> Package:
        archive = SourceArchive.read(folder)
        return {"source": source, "digest": archive.digest, "conf": archive.conf, "manifest": archive.manifest}

    found: Package = once_per_run(f"package {folder}", read)
    return found


def packages_of(request: t.Mapping[str, t.Any], find: Find) -> list[Package]:
    """The driver packages that the role installs or removes."""
    if not request.get("drivers", True):
        return []
    sources = request.get("drivers_sources", ["vfio-variants"])
    if not isinstance(sources, list) or not all(isinstance(source, str) for source in sources):
        raise HostError(f"request.drivers_sources: {cut(repr(sources))} is not a list of names.", "Name driver packages.")
    return [described(source, find) for source in sources]


def key_of(request: t.Mapping[str, t.Any], packages: t.Sequence[Package]) -> str:
    digests = [package["digest"] for package in packages]
    code = once_per_run("code", code_digest)
    return hashlib.sha256(json.dumps([code, digests, request], sort_keys=True, default=str).encode()).hexdigest()

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a module's options to a request: where the sources come from, and what they are called."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.conf import DkmsConf, checked
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.module_check import ExpectedModule, parse_manifest
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.package import PackageRequest, PackageSource
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.plan import INSTALLED
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.source_tree import digest, read_files, unpack
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

ABSENT = "absent"
LEVELS = {"present": INSTALLED, "installed": INSTALLED, "built": "built", ABSENT: ABSENT}
CONF, MANIFEST = "dkms.conf", "modules.json"


def read_request(host: Host, params: t.Mapping[str, t.Any]) -> PackageRequest:
    """The request that a module's options make.  Raises HostError when they contradict each other or the sources."""
    source = _source(host, params)
    name, version = params["name"], params["version"]
    if source is not None:
        name = _agreed("name", name, lambda: source.conf.name, source)
        # Whatever version is there goes when the package shall be absent, unless one is named.
        if LEVELS[params["state"]] != ABSENT:
            version = _agreed("version", version, lambda: source.conf.version, source)
    if name is None:
        raise HostError("name: without source, the package's name is needed.", "Set name, or source.")
    return PackageRequest(
        name=checked(name, "name"),
        version=None if version is None else checked(version, "version"),
        level=LEVELS[params["state"]],
        kernels=tuple(params["kernels"]),
        source=source,
        promises=_promises(params["modules"]),
        keep_versions=params["keep_versions"],
        seconds=params["timeout"],
    )


def _agreed(option: str, given: str | None, written: t.Callable[[], str], source: PackageSource) -> str:
    try:
        found = written()
    except HostError:
        if given is None:
            raise
        return given  # only running the file would tell: the user does
    if given not in (None, found):
        raise HostError(
            f"{option}: {given} was asked for, but {source.conf.where} says {found}.", f"Leave {option} out, or change the file."
        )
    return found


def _promises(modules: t.Sequence[t.Mapping[str, t.Any]] | None) -> tuple[ExpectedModule, ...] | None:
    return None if modules is None else tuple(ExpectedModule(module["name"], tuple(module["aliases"] or ())) for module in modules)


def _source(host: Host, params: t.Mapping[str, t.Any]) -> PackageSource | None:
    if params["source"] is None:
        return None
    return _source_on_host(host, params["source"]) if params["remote_src"] else _source_from_controller(host, params)


def _source_on_host(host: Host, folder: str) -> PackageSource:
    if not host.is_file(f"{folder}/{CONF}"):
        raise HostError(f"source: there is no {folder}/{CONF} on this host.", "Name the folder that holds the package's dkms.conf.")
    files = read_files(host, folder)
    texts = {file.name: file.content.decode("utf-8", "surrogateescape") for file in files if file.name in (CONF, MANIFEST)}
    return _described(texts[CONF], texts.get(MANIFEST), folder, digest(files), lambda: files)


def _source_from_controller(host: Host, params: t.Mapping[str, t.Any]) -> PackageSource:
    told = params["_run"] or {}
    if told.get("digest") is None or told.get("conf") is None:
        raise HostError(
            "source: the sources lie on the controller, and only the module's action plugin can bring them here.",
            "Call the module by its full name vfio.variants.dkms_package, or set remote_src.",
        )
    archive = told.get("archive")
    files = None if archive is None else lambda: unpack(host.read_bytes(archive))
    return _described(told["conf"], told.get("manifest"), params["source"], told["digest"], files)


def _described(conf: str, manifest: str | None, folder: str, found: str, files: t.Any) -> PackageSource:
    promises = parse_manifest(manifest, f"{folder}/{MANIFEST}") if manifest is not None else ()
    return PackageSource(DkmsConf(conf, f"{folder}/{CONF}"), found, promises, files)

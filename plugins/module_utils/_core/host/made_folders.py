# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folders that were made for files of policies, so that they can go with the last of them."""

from __future__ import annotations

import contextlib
import json
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.journal import DIRECTORY, remove_if_empty, texts

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

RECORD = f"{DIRECTORY}/folders"
LONGEST = 1 << 16
LONGEST_LIST = 16 << 20
MOST_PACKAGES = 20_000
DPKG, PACMAN = "/var/lib/dpkg/info", "/var/lib/pacman/local"
RPM = ("/usr/lib/sysimage/rpm", "/var/lib/rpm")
NOT_OWNED = "is not owned by any package"
TIMEOUT = 30.0


def read(host: Host) -> tuple[str, ...]:
    """The recorded folders; none if the record cannot be read."""
    content = host.head(RECORD, LONGEST) if host.is_file(RECORD) else None
    try:
        return tuple(path for path in texts(json.loads(content or b"[]")) if path.startswith("/etc/") and "/../" not in f"{path}/")
    except ValueError:
        return ()


def remember(host: Host, folders: t.Iterable[str]) -> bool:
    """Record those that are there; returns whether that could be done."""
    known = read(host)
    wanted = tuple(dict.fromkeys((*known, *(folder for folder in folders if host.is_dir(folder)))))
    try:
        if wanted != known:
            _write(host, wanted)
    except HostError:
        return False
    return True


def empty(host: Host) -> tuple[str, ...]:
    """The recorded folders that hold nothing, or only such folders, the innermost first: a run that removed its files was killed."""
    found: list[str] = []
    for folder in sorted(read(host), key=len, reverse=True):
        if host.link(folder) is None and host.is_dir(folder) and {f"{folder}/{name}" for name in host.names(folder)} <= set(found):
            found.append(folder)
    return tuple(found)


def remove_empty(host: Host) -> None:
    """Remove the recorded folders that are empty, unless a package has them by now, and forget those that are not there."""
    known = read(host)
    for folder in empty(host):
        if not _is_shipped(host, folder):
            remove_if_empty(host, folder)
    _keep(host, known, [folder for folder in known if host.is_dir(folder) and host.names(folder)])


def remove_unused(host: Host, is_ours: t.Callable[[bytes], bool], longest: int) -> None:
    """The same once a policy is gone: folders without a file of ours, by its first ``longest`` bytes, are not ours any more."""
    remove_empty(host)
    known = read(host)
    ours = {
        folder
        for folder in known
        for path in (f"{folder}/{name}" for name in host.names(folder))
        if host.is_file(path) and is_ours(host.head(path, longest) or b"")
    }
    _keep(host, known, [folder for folder in known if any(one == folder or one.startswith(f"{folder}/") for one in ours)])
    remove_if_empty(host, DIRECTORY)


def _keep(host: Host, known: t.Sequence[str], kept: t.Sequence[str]) -> None:
    if tuple(kept) != tuple(known):
        with contextlib.suppress(HostError):
            _write(host, kept)


def _write(host: Host, folders: t.Sequence[str]) -> None:
    if not folders:
        host.remove(RECORD)
        return
    if not host.is_dir(DIRECTORY):
        host.make_directory(DIRECTORY, 0o700)
    host.write_atomic(RECORD, f"{json.dumps(list(folders))}\n".encode(), 0o600)


def _is_shipped(host: Host, folder: str) -> bool:
    """By the lists of dpkg and pacman, and by rpm's own answer; where that cannot be had, the folder may be one of its packages'."""
    line = f"{folder}\n".encode()
    for name in host.names(DPKG)[:MOST_PACKAGES]:
        if name.endswith(".list") and line in (host.head(f"{DPKG}/{name}", LONGEST_LIST) or b""):
            return True
    for name in host.names(PACMAN)[:MOST_PACKAGES]:
        if f"\n{folder[1:]}/\n".encode() in (host.head(f"{PACMAN}/{name}/files", LONGEST_LIST) or b""):
            return True
    if not any(host.is_dir(place) and host.names(place) for place in RPM):
        return False
    try:
        host.run(["rpm", "--root", host.path("/"), "--query", "--file", folder], TIMEOUT, here=True)
    except HostError as error:
        return NOT_OWNED not in str(error.facts.get("stdout", ""))
    return True

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several steps of one run read is read once: parts of the host while nothing changes, and files while they are the same.

Outside of a run of several steps everything is read when it is asked for.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.read_log import FileVersion, file_version
from ansible_collections.vfio.variants.plugins.module_utils._core.host.root_path import links_stay

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.read_log import ReadLog

T = t.TypeVar("T")
FileVersions = tuple[t.Optional[FileVersion], ...]


@dataclasses.dataclass
class OfFiles:
    """What was made of files.  ``is_stored`` once it is in the cache on the disk, too."""

    value: t.Any
    is_stored: bool = False


_PARTS: contextvars.ContextVar[dict[t.Hashable, tuple[t.Any, ReadLog]] | None] = contextvars.ContextVar("_PARTS", default=None)
_FILES: contextvars.ContextVar[dict[t.Hashable, OfFiles] | None] = contextvars.ContextVar("_FILES", default=None)


@contextlib.contextmanager
def run_of_steps() -> t.Iterator[None]:
    """Inside, what was made of a file stands for it until it changes."""
    token = _FILES.set({})
    try:
        yield
    finally:
        _FILES.reset(token)


@contextlib.contextmanager
def nothing_changes() -> t.Iterator[None]:
    """Inside, this process changes nothing on the host, so that a part of it that was read is as it was."""
    token = _PARTS.set({})
    try:
        with links_stay():
            yield
    finally:
        _PARTS.reset(token)


def read_once(host: Host, what: t.Hashable, read: t.Callable[[], T]) -> T:
    """What ``read`` returns, or has returned for the same host; a log of reads gets all that it rested on either way."""
    kept = _PARTS.get()
    if kept is None:
        return read()
    key = (host, what)
    if key not in kept:
        with host.recorded() as log:
            value = read()
        kept[key] = (value, log)
        return value
    known: T = kept[key][0]
    if host.read_log is not None:
        host.read_log.add(kept[key][1])
    return known


def of_files() -> dict[t.Hashable, OfFiles] | None:
    """What was made of files in this run, by what it is and by `version_of()` them; None outside of one."""
    return _FILES.get()


def version_of(host: Host, paths: t.Sequence[str]) -> FileVersions | None:
    """The files' identities, whatever their names are: a file that was renamed is the same.  None if the first one is missing."""
    found = (host.stat(path) for path in paths)
    known = tuple(None if one is None else file_version(one) for one in found)
    return None if known[0] is None else known

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a directory, and what of it are directories: of sysfs in one call, where asking for each takes a hundred."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host


class Listing(t.NamedTuple):
    """Sorted names; ``folders`` are the directories among them, without links to some."""

    names: tuple[str, ...]
    folders: tuple[str, ...]


def listing(host: Host, path: str) -> Listing:
    """Empty if the directory does not exist.  Raises HostError if it cannot be listed."""
    if host.answers_each or host.read_log is not None:
        names = host.names(path)
        return Listing(names, tuple(name for name in names if _is_folder(host, f"{path}/{name}")))
    try:
        with os.scandir(host.whole(path)) as found:
            entries = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in found)
    except (FileNotFoundError, NotADirectoryError):
        entries = []
    except OSError as error:
        raise HostError(f"{path} cannot be listed: {error.strerror}.") from error
    return Listing(tuple(name for name, _is_one in entries), tuple(name for name, is_one in entries if is_one))


def _is_folder(host: Host, path: str) -> bool:
    return host.link(path) is None and host.is_dir(path)

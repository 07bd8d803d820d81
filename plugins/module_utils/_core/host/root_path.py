# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a path of a host lies whose files are below another root."""

from __future__ import annotations

import os

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

MAX_LINKS = 40


def followed(root: str, path: str) -> str:
    """The place of ``path`` in this process's own file system; every link on the way is resolved below ``root``.

    Raises HostError for a loop of links.
    """
    pending = [part for part in path.split("/") if part]
    place, links = root, 0
    while pending:
        part = pending.pop(0)
        if part in (".", ".."):
            place = place if part == "." or place == root else os.path.dirname(place)
            continue
        step = os.path.join(place, part)
        if not os.path.islink(step):
            place = step
            continue
        links += 1
        if links > MAX_LINKS:
            raise HostError(f"{path} below {root} is a loop of symbolic links.")
        target = os.readlink(step)
        if target.startswith("/"):
            place = root
        pending = [part for part in target.split("/") if part] + pending
    return place

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where paths lead over symbolic links, in any tree of files."""

from __future__ import annotations

import posixpath
import typing as t

MAX_LINKS = 40
"""As many links as Linux follows in one path (``MAXSYMLINKS`` in include/linux/namei.h)."""

Link = t.Callable[[str], t.Optional[str]]
"""What a symbolic link says; None for anything else."""


def without_links(path: str, link: Link) -> str | None:
    """The place that a path from the root leads to, without a link on the way; nothing leads above the root.  None for a loop."""
    pending = [part for part in path.split("/") if part]
    place, followed = "", 0
    while pending:
        part = pending.pop(0)
        if part in (".", ".."):
            place = place if part == "." else place.rpartition("/")[0]
            continue
        step = f"{place}/{part}"
        target = link(step)
        if target is None:
            place = step
            continue
        followed += 1
        if followed > MAX_LINKS:
            return None
        place = "" if target.startswith("/") else place
        pending = [one for one in target.split("/") if one] + pending
    return place or "/"


def end_of_links(path: str, link: Link) -> str:
    """What is found at the end of the links that begin at a path, whose folders are none; of a loop one of its links."""
    for _step in range(MAX_LINKS):
        target = link(path)
        if target is None:
            break
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return path

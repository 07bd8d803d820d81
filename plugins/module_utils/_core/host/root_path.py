# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a path of a host lies whose files are below another root."""

from __future__ import annotations

import contextlib
import contextvars
import os
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.links import without_links
from ansible_collections.vfio.variants.plugins.module_utils._core.host.regular_file import refuse_impossible

_LINKS: contextvars.ContextVar[dict[str, str | None] | None] = contextvars.ContextVar("_LINKS", default=None)


@contextlib.contextmanager
def links_stay() -> t.Iterator[None]:
    """Inside, nothing makes, changes or removes a link on the way to a file, so that each place on the way is looked at once."""
    token = _LINKS.set(_LINKS.get() or {})
    try:
        yield
    finally:
        _LINKS.reset(token)


class Root:
    """A file system's root: ``/``, a mounted image, or a test tree.  Below another one than ``/`` links never lead out of it."""

    is_image: bool = False
    """Whether this is an image that is being baked, on which nothing runs and no device is."""
    answers_each = False
    """Whether each path has to be asked for by itself, because some are planned, or noted."""

    def __init__(self, root: str = "/") -> None:
        self.root = os.path.realpath(root)

    def path(self, path: str) -> str:
        """``path`` in this process's own file system; links in its directory are resolved below the root.

        Raises FileNotFoundError for what can be no file's path.
        """
        refuse_impossible(path)
        if self.root == "/":
            return path
        head, tail = os.path.split(path.rstrip("/"))
        return os.path.join(followed(self.root, head), tail) if tail else self.root

    def argument(self, path: str) -> str:
        """How the commands of this host are given a file."""
        return self.path(path)

    def whole(self, path: str) -> str:
        """As `path()`, with every link resolved below the root, the last one too."""
        refuse_impossible(path)
        return path if self.root == "/" else followed(self.root, path)


def followed(root: str, path: str) -> str:
    """The place of ``path`` in this process's own file system; every link on the way is resolved below ``root``.

    Raises HostError for a loop of links.
    """
    above = "" if root == "/" else root

    known = _LINKS.get()

    def link(place: str) -> str | None:
        whole = above + place
        if known is None:
            return _target(whole)
        if whole not in known:
            known[whole] = _target(whole)
        return known[whole]

    place = without_links(path, link)
    if place is None:
        raise HostError(f"{path} below {root} is a loop of symbolic links.")
    return root if place == "/" else above + place


def _target(path: str) -> str | None:
    # One call for each part: most of the paths of an image or a tree have no link.
    try:
        return os.readlink(path)
    except (OSError, ValueError):
        return None

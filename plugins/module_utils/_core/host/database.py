# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of a SQLite database of the host, where this Python can read such."""

from __future__ import annotations

import types
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host


MOST_STEPS = 100_000_000
"""Instructions of SQLite's machine that a query may take: seconds.  A million rows take a tenth of that."""
LARGEST = 1 << 30


def rows(host: Host, path: str, query: str, most: int) -> list[tuple[t.Any, ...]] | None:
    """At most so many rows; None if the file is not a database, or if Python was built without SQLite.  Nothing is written or locked."""
    status = host.stat(path) if host.is_file(path) else None
    if status is None or status.st_size > LARGEST:
        return None
    sqlite3 = _sqlite()
    if sqlite3 is None:
        return None
    from urllib.parse import quote

    host.note_whole(path)
    try:
        connection = sqlite3.connect(f"file:{quote(host.path(path))}?mode=ro&immutable=1", uri=True)
    except (sqlite3.Error, HostError):
        return None
    try:
        # Called after so many steps for the first time, this ends the query: a view can be one that never ends.
        connection.set_progress_handler(lambda: 1, MOST_STEPS)
        if connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'view' LIMIT 1").fetchall():
            return None
        found: list[tuple[t.Any, ...]] = connection.execute(query).fetchmany(most)
        return found
    except (sqlite3.Error, MemoryError, OverflowError):
        return None
    finally:
        connection.close()


def _sqlite() -> types.ModuleType | None:
    """Python's own module for it, which takes long to load and which few hosts need."""
    try:
        import sqlite3
    except ImportError:
        return None
    return sqlite3

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is about to change, on disk before it is changed: by it the next run finishes or undoes what a killed one has left.

One file for each kind of operation, since only one run at a time holds the lock.  It exists from before the first change until the
last one is made, or is undone.
"""

from __future__ import annotations

import contextlib
import json
import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

Record = dict[str, t.Any]
"""JSON values; `version` is the format's."""

DIRECTORY = "/var/lib/vfio-variants"
FORMAT = 1
LONGEST = 16 << 20
BOOT_ID = "/proc/sys/kernel/random/boot_id"
UNREADABLE = "unreadable"


class Journal:
    """The journal of one kind of operation, such as ``boot_policy``."""

    def __init__(self, host: Host, operation: str) -> None:
        self._host = host
        self.operation = operation
        self.path = f"{DIRECTORY}/{operation}.json"

    def read(self) -> Record | None:
        """What an unfinished run has written; None if there is none, or if this user cannot read it.  ``unreadable`` if it is not ours."""
        if not self._host.is_file(self.path):
            return None
        content = self._host.head(self.path, LONGEST)
        if content is None:
            return None
        try:
            record = json.loads(content)
        except ValueError:
            record = None
        if not isinstance(record, dict) or record.get("version") != FORMAT:
            return {"version": FORMAT, UNREADABLE: True}
        return record

    def write(self, record: t.Mapping[str, t.Any]) -> None:
        """Replace what is written.  It is on disk when this returns.  Raises HostError."""
        if not self._host.is_dir(DIRECTORY):
            self._host.make_directory(posixpath.dirname(DIRECTORY))
            self._host.make_directory(DIRECTORY, 0o700)
        boot = self._host.text_or_none(BOOT_ID) or ""
        text = json.dumps({"version": FORMAT, "boot": boot, **record}, indent=1, sort_keys=True)
        try:
            self._host.write_atomic(self.path, f"{text}\n".encode(), 0o600)
        except BaseException:
            remove_if_empty(self._host, DIRECTORY)
            raise

    def close(self) -> None:
        """The operation is complete, or undone.  A journal that cannot be removed does no harm: the next run finds that nothing is left."""
        with contextlib.suppress(HostError):
            self._host.remove(self.path)
        remove_if_empty(self._host, DIRECTORY)

    def is_of_this_boot(self, record: t.Mapping[str, t.Any]) -> bool:
        return bool(record.get("boot") == (self._host.text_or_none(BOOT_ID) or ""))


def remove_if_empty(host: Host, folder: str) -> None:
    """What is bound to a folder is not lost if it cannot be removed."""
    try:
        if host.is_dir(folder) and host.link(folder) is None and not host.names(folder):
            host.remove_tree(folder)
    except HostError:
        return


def texts(value: object) -> tuple[str, ...]:
    """The texts of a record's list; what is not one is left out."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts that are dear to read, kept from run to run.  Deleting them costs time and nothing else."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

T = t.TypeVar("T")
FileStatus = list[list[int]]

DIRECTORY = "/var/cache/vfio-variants"
SETTLED = 2.0
"""Seconds after which a file that changes again shows another time: some file systems keep whole seconds."""
MOST = 512
"""So many entries are kept, those that were written last: kernels and images come and go."""
VERSION = "0.1.0"
"""The collection's: another one may come to other conclusions."""
FORMAT = 3
"""Counts up whenever anything that is kept means something else than before, within one version."""
# What a decoder raises on a value that it did not write.
FOREIGN = (AttributeError, IndexError, KeyError, TypeError, ValueError)


class Cache:
    """What files of a host were found to hold, by kind and path, for as long as the file stays the same.

    A file counts as the same while its device, inode, size and times of modification and change are.  Nothing here ever fails: what
    cannot be kept is read again.  ``directory`` is always this machine's own: whoever bakes an image must not get our files in it,
    nor may an image tell us what its files hold.  ``writable`` is false in check mode, which writes nothing.
    """

    def __init__(self, host: Host, writable: bool, directory: str | None = None, settled: float = SETTLED) -> None:
        self._host = host
        self._machine = Host()
        self._settled = settled
        self._writable = writable
        self._directory = directory or DIRECTORY

    def get(self, kind: str, path: str, also: t.Sequence[str] = ()) -> t.Any | None:
        """What was put for the file, and for those that it was read with, as they are now; None where nothing was."""
        state = self._state(path, also)
        content = None if state is None else self._read(self._name(kind, path))
        if content is None:
            return None
        try:
            kept = json.loads(content)
            return kept["value"] if kept["about"] == self._about(kind, path, state) else None
        except (*FOREIGN, RecursionError):
            return None

    def put(self, kind: str, path: str, value: t.Any, also: t.Sequence[str] = ()) -> None:
        """Keep what JSON can say of a file, and of those that it was read with."""
        self._put(kind, path, value, self._state(path, also))

    def remembered(
        self,
        kind: str,
        path: str,
        make: t.Callable[[], T],
        encode: t.Callable[[T], t.Any],
        decode: t.Callable[[t.Any], T],
        also: t.Sequence[str] = (),
    ) -> T:
        """What ``make`` reads from the file, and from the files ``also``, unless that is known.  Raises only what ``make`` does."""
        kept = self.get(kind, path, also)
        if kept is not None:
            try:
                return decode(kept)
            except FOREIGN:
                pass
        with self._unwatched():
            # A file that is replaced while it is read must not be remembered as what replaced it.
            state = self._state(path, also)
            value = make()
        self._put(kind, path, encode(value), state)
        return value

    def concluded(
        self,
        kind: str,
        whose: str,
        given: str,
        make: t.Callable[[], T],
        encode: t.Callable[[T], t.Any],
        decode: t.Callable[[t.Any], T],
    ) -> T:
        """What ``make`` concludes from what is ``given`` and from what it asks of the host, unless that is known.

        It is known while the host gives the answers that it gave to ``make``; only these are asked for then.  One conclusion is
        kept for each ``whose``: the last.  Raises only what ``make`` does.
        """
        content = self._read(self._name(kind, whose))
        if content is not None:
            with contextlib.suppress(*FOREIGN, RecursionError):
                kept = json.loads(content)
                if kept["about"] == self._about(kind, whose, given) and self._host.still_answers(kept["seen"]):
                    return decode(kept["value"])
        with self._host.recorded() as log:
            value = make()
        if log.is_complete:
            self._write(kind, whose, {"about": self._about(kind, whose, given), "seen": log.seen, "value": encode(value)}, log.newest)
        return value

    def _unwatched(self) -> contextlib.AbstractContextManager[None]:
        """The status of the file is recorded: its content need not be."""
        return contextlib.nullcontext() if self._host.read_log is None else self._host.read_log.paused()

    def _put(self, kind: str, path: str, value: t.Any, state: FileStatus | None) -> None:
        if state is not None:
            newest = max(changed for *_rest, changed in state)
            self._write(kind, path, {"about": self._about(kind, path, state), "value": value}, newest)

    def _write(self, kind: str, path: str, entry: t.Mapping[str, t.Any], newest: int) -> None:
        if not self._writable or time.time() - newest / 1e9 < self._settled:
            return
        content = json.dumps(entry, separators=(",", ":"))
        try:
            with self._machine.cache_directory(self._directory, create=True) as folder:
                if folder is not None:
                    folder.write(self._name(kind, path), content.encode())
                    folder.keep_newest(MOST)
        except (HostError, OSError):
            return

    def _state(self, path: str, also: t.Sequence[str]) -> FileStatus | None:
        """What tells whether files have changed; None where the first is not there."""
        if not self._host.exists(path):
            return None
        found = (self._host.stat(one) for one in (path, *also))
        return [
            [0] if status is None else [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
            for status in found
        ]

    def _read(self, name: str) -> bytes | None:
        try:
            with self._machine.cache_directory(self._directory) as folder:
                return None if folder is None else folder.read(name)
        except (HostError, OSError):
            return None

    def _about(self, kind: str, path: str, state: FileStatus | str | None) -> list[t.Any]:
        return [VERSION, FORMAT, kind, self._host.root, path, state]

    def _name(self, kind: str, path: str) -> str:
        whose = f"{self._host.root}\0{path}".encode("utf-8", "surrogateescape")
        return f"{kind}-{hashlib.sha256(whose).hexdigest()[:32]}.json"

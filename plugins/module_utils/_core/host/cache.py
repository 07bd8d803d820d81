# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cache of facts that are expensive to read.  Deleting it costs time and nothing else."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache_dir import CACHE_DIRECTORY, UNCHANGED
from ansible_collections.vfio.variants.plugins.module_utils._core.host.code_digest import NoSourceError, code_digest
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.read_log import paused
from ansible_collections.vfio.variants.plugins.module_utils._core.host.read_once import OfFiles, of_files, version_of

T = t.TypeVar("T")
FileStatus = list[list[int]]

SETTLED = 2.0
"""Nothing is cached about a file changed less than this many seconds ago: with timestamps of one second, as some file systems have,
a second change would go unnoticed."""
MOST = 512
"""Entries to keep, newest first: kernels and images come and go."""
FORMAT = 8
# What a decoder raises for a value in another format.
FOREIGN = (AttributeError, IndexError, KeyError, TypeError, ValueError)


class Cache:
    """Results that were computed from a host's files, by kind and path; valid while those files are unchanged.

    A file counts as unchanged while its device, inode, size, mtime and ctime are, and a result while the code that made it is, too.  A
    cache error is never an error of the caller: what cannot be cached is read again.  ``directory`` is always on this machine, whatever
    the host's root is: an image must neither receive our cache nor supply it.  ``writable`` is false in check mode, which writes nothing.
    """

    def __init__(self, host: Host, writable: bool, directory: str | None = None, settled: float = SETTLED) -> None:
        self._host = host
        self._machine = Host()
        self._settled = settled
        self._writable = writable
        self._directory = directory or CACHE_DIRECTORY

    def get(self, kind: str, path: str, also: t.Sequence[str] = (), code: str = "") -> t.Any | None:
        """The value that was stored for the file and the files ``also``, as they are now, and for ``code``; None if there is none."""
        state = self._state(path, also)
        content = None if state is None else self._read(self._name(kind, path))
        if content is None:
            return None
        try:
            kept = json.loads(content)
            return kept["value"] if kept["about"] == self._about(kind, path, state, code) else None
        except (*FOREIGN, RecursionError):
            return None

    def put(self, kind: str, path: str, value: t.Any, also: t.Sequence[str] = ()) -> None:
        """Store a value, which must be representable in JSON, for a file and the files ``also`` that it depends on."""
        self._put(kind, path, lambda: value, self._state(path, also))

    def remembered(
        self,
        kind: str,
        path: str,
        make: t.Callable[[], T],
        encode: t.Callable[[T], t.Any],
        decode: t.Callable[[t.Any], T],
        also: t.Sequence[str] = (),
    ) -> T:
        """The cached result of ``make``, which reads the file and the files ``also``; called on a miss.  Raises only what ``make`` does.

        In a run of several steps a file that was only renamed is the same.
        """
        try:
            code = code_digest(make)
        except NoSourceError:
            return make()
        files = of_files()
        version = None if files is None else version_of(self._host, (path, *also))
        if files is None or version is None:
            kept: T = self._recalled(kind, path, make, encode, decode, also, code).value
            return kept
        known = files.get((kind, version))
        if known is None:
            known = files[kind, version] = self._recalled(kind, path, make, encode, decode, also, code)
        elif not known.is_stored:
            known.is_stored = self._put(kind, path, lambda: encode(known.value), self._state(path, also), code)
        value: T = known.value
        return value

    def _recalled(
        self,
        kind: str,
        path: str,
        make: t.Callable[[], T],
        encode: t.Callable[[T], t.Any],
        decode: t.Callable[[t.Any], T],
        also: t.Sequence[str],
        code: str,
    ) -> OfFiles:
        kept = self.get(kind, path, also, code)
        if kept is not None:
            try:
                return OfFiles(decode(kept), is_stored=True)
            except FOREIGN:
                pass
        with paused(self._host.read_log):
            # Taken before reading: a file that is replaced meanwhile must not be cached under the status of its successor.
            state = self._state(path, also)
            value = make()
        return OfFiles(value, self._put(kind, path, lambda: encode(value), state, code))

    def concluded(
        self,
        kind: str,
        subject: str,
        given: str,
        make: t.Callable[[], T],
        encode: t.Callable[[T], t.Any],
        decode: t.Callable[[t.Any], T],
    ) -> T:
        """The cached result of ``make``, which depends on ``given`` and on what it reads from the host; called on a miss.

        The result is valid while every read that ``make`` did gives the same answer; a hit repeats only these reads.  The last
        result is kept for each ``subject``.  Raises only what ``make`` does.
        """
        try:
            code = code_digest(make)
        except NoSourceError:
            return make()
        content = self._read(self._name(kind, subject))
        if content is not None:
            with contextlib.suppress(*FOREIGN, RecursionError):
                kept = json.loads(content)
                if kept["about"] == self._about(kind, subject, given, code) and self._host.still_answers(kept["seen"]):
                    return decode(kept["value"])
        with self._host.recorded() as log:
            value = make()
        if log.is_complete and self._writable and self._is_settled(log.newest):
            about = self._about(kind, subject, given, code)
            self._write(kind, subject, {"about": about, "seen": log.seen, "value": encode(value)})
        return value

    def _put(self, kind: str, path: str, encoded: t.Callable[[], t.Any], state: FileStatus | None, code: str = "") -> bool:
        """Whether there is nothing more to be stored."""
        if state is None or not self._writable:
            return True
        newest = max(changed for *_rest, changed in state)
        if self._is_settled(newest):
            self._write(kind, path, {"about": self._about(kind, path, state, code), "value": encoded()})
        return self._is_settled(newest)

    def _is_settled(self, newest: int) -> bool:
        return time.time() - newest / 1e9 >= self._settled

    def _write(self, kind: str, path: str, entry: t.Mapping[str, t.Any]) -> None:
        content = json.dumps(entry, separators=(",", ":"))
        try:
            with self._machine.cache_directory(self._directory, create=True) as folder:
                if folder is not None:
                    folder.write(self._name(kind, path), content.encode())
                    folder.keep_newest(MOST, lambda name: not name.startswith(UNCHANGED))
        except (HostError, OSError):
            return

    def _state(self, path: str, also: t.Sequence[str]) -> FileStatus | None:
        """What changes when the files do; None if the first does not exist."""
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

    def _about(self, kind: str, path: str, state: FileStatus | str | None, code: str) -> list[t.Any]:
        return [FORMAT, code, kind, self._host.root, path, state]

    def _name(self, kind: str, path: str) -> str:
        key = f"{self._host.root}\0{path}".encode("utf-8", "surrogateescape")
        return f"{kind}-{hashlib.sha256(key).hexdigest()[:32]}.json"

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose unreadable files do not end the work that reads them: they are noted, and read as if they were empty."""

from __future__ import annotations

import errno
import os
import re
import stat as stat_bits
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import MISSING, Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.regular_file import KINDS, NULL, UnfitFileError

# What the kernel shows is read by code that expects it to fail; what is in the others comes up during the boot.
_NOT_OF_A_DISK = ("/sys", "/proc", "/dev", "/run", "/var/run", "/tmp")  # noqa: S108 - nothing is written there
# Which devices a module's file is for is known without its content; its reader says what is wrong with it.
_MODULE = re.compile(r"\.ko(?:\.\w+)?$")
_BLOCKS: t.Final = (stat_bits.S_IFIFO, stat_bits.S_IFSOCK, stat_bits.S_IFCHR, stat_bits.S_IFBLK)
# For whoever reads it, too, such a link leads nowhere.
_NOWHERE: t.Final = (*MISSING, errno.ELOOP)
# Of a compiled program nobody means to read all: what it does cannot be read from it.
_PROGRAM = b"\x7fELF"
SMALLEST_WHOLE = 16 << 10
"""Bytes from which on a reader that takes only the beginning of a file means all of it."""


class TolerantHost(Host):
    """The files of ``host``.  ``unread`` has those that exist and cannot be read, by path, each with the reason."""

    def __init__(self, host: Host) -> None:
        super().__init__(host.root, host._runner, host._relabel)
        self._read_log = host._read_log
        # What was read without an error; what is read from here on may leave something out, and is not the other's.
        self._read_once = dict(host._read_once)
        self.unread: dict[str, str] = {}

    @classmethod
    def of(cls, host: Host) -> TolerantHost:
        return host if isinstance(host, TolerantHost) else cls(host)

    def leave_out(self, path: str, why: str) -> None:
        self._note(path, why)

    def _note(self, path: str, why: str) -> None:
        self.unread.setdefault(path, why)

    def _content(self, path: str, most: int) -> bytes:
        try:
            return super()._content(path, most)
        except UnfitFileError as error:
            if not _is_of_a_disk(path):
                raise
            if not self.is_dir(path):
                self._note(path, error.msg.rstrip(".").partition(" cannot be read: ")[2])
            return b""
        except HostError:
            # A loop of links.
            return b""
        except OSError as error:
            if not _is_of_a_disk(path) or error.errno in MISSING:
                raise
            if error.errno != errno.ELOOP:
                self._note(path, _reason(error))
            return b""

    def head(self, path: str, most: int) -> bytes | None:
        if not _is_of_a_disk(path) or not self.is_file(path):
            return super().head(path, most)
        try:
            with self.open(path) as file:
                content = file.read(most)
                if most >= SMALLEST_WHOLE and len(content) == most and not content.startswith(_PROGRAM) and file.read(1):
                    self._note(path, f"it has more than {most >> 10} KiB")
                return content
        except (HostError, OSError) as error:
            self._note(path, _reason(error.__cause__ or error))
            return None

    def names(self, path: str) -> tuple[str, ...]:
        try:
            return super().names(path)
        except HostError as error:
            reason = error.__cause__
            if isinstance(reason, OSError) and reason.errno != errno.ELOOP and _is_of_a_disk(path):
                self._note(path, _reason(reason))
            return ()

    def _status(self, path: str) -> os.stat_result | None:
        try:
            status = os.stat(self.whole(path))
        except OSError as error:
            if error.errno not in _NOWHERE and _is_of_a_disk(path):
                self._note(path, _reason(error))
            return None
        except HostError:
            return None
        kind = stat_bits.S_IFMT(status.st_mode)
        if kind in _BLOCKS and _is_of_a_disk(path) and not (kind == stat_bits.S_IFCHR and status.st_rdev == NULL):
            self._note(path, f"it is {KINDS[kind]}")
        return status


def _is_of_a_disk(path: str) -> bool:
    if _MODULE.search(path):
        return False
    return not any(path == folder or path.startswith(f"{folder}/") for folder in _NOT_OF_A_DISK)


def _reason(error: BaseException) -> str:
    return f"the system says {error.strerror!r}" if isinstance(error, OSError) else str(error)

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a host that can be looked at, whether it lies on a disk or inside a boot image."""

from __future__ import annotations

import typing as t


class FileTree(t.Protocol):
    """Files below one root, named as the machine itself names them (``/etc/modprobe.d``).  `Host` is one.

    What is not there is no error, except for `read_bytes()` and `read_text()`, which raise HostError.
    """

    def shown(self, path: str) -> str:
        """How a file is named to the operator, who sees more trees than this one."""

    def names(self, path: str) -> tuple[str, ...]: ...

    def exists(self, path: str) -> bool: ...

    def is_file(self, path: str) -> bool: ...

    def is_dir(self, path: str) -> bool: ...

    def link(self, path: str) -> str | None: ...

    def link_name(self, path: str) -> str | None: ...

    def read_bytes(self, path: str) -> bytes: ...

    def read_text(self, path: str) -> str: ...

    def text_or_none(self, path: str) -> str | None: ...

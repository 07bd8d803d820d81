# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel module files: their names, and whether two of them are the same module."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.compression import unpacked_bytes
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf import Elf, NotElfError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf_module import MAGIC

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

FILE_NAME = re.compile(r"(?P<name>[^/]+)\.ko(?:\.(?:xz|gz|zst))?")
BUILD_ID_SECTION = ".note.gnu.build-id"
# Sizes of name and content, type, and "GNU" with its NUL (elf(5)).
NOTE_HEADER = 16


def module_name(path: str) -> str | None:
    """The kernel's name of the module that a file holds (`vfio_pci` for `…/vfio-pci.ko.xz`), None for another kind of file."""
    found = FILE_NAME.fullmatch(path.rpartition("/")[2])
    return None if found is None else found["name"].replace("-", "_")


@dataclasses.dataclass(frozen=True)
class Fingerprint:
    """What tells one build of a module from another."""

    digest: str
    build_id: str | None
    signed: bool

    @classmethod
    def of(cls, host: Host, content: bytes) -> Fingerprint:
        """Of a module file's content, compressed or not.  Raises DamagedError when it cannot be unpacked."""
        plain = unpacked_bytes(host, content)
        return cls(hashlib.sha256(plain).hexdigest(), _build_id(plain), plain.endswith(MAGIC))

    def is_same(self, other: Fingerprint) -> bool:
        """Whether both are one build.

        dracut strips the modules that carry no signature, which changes the content and leaves the linker's build ID;
        a signed one is copied as it is, and another signature makes it another module to a kernel that checks them.
        """
        if self.digest == other.digest:
            return True
        return not self.signed and not other.signed and self.build_id is not None and self.build_id == other.build_id


def _build_id(module: bytes) -> str | None:
    """What the linker wrote into the file, None where it wrote nothing."""
    try:
        note = Elf.parse(module).content(BUILD_ID_SECTION)
    except NotElfError:
        return None
    return note[NOTE_HEADER:].hex() if note else None

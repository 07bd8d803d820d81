# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether two kernel module files are the same build."""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.compression import unpacked_bytes
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import CorruptFileError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf import Elf, NotElfError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf_module import MAGIC

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

BUILD_ID_SECTION = ".note.gnu.build-id"
# Sizes of name and content, type, and "GNU" with its NUL (elf(5)).
NOTE_HEADER = 16
LONGEST_NOTE = 1 << 10


@dataclasses.dataclass(frozen=True)
class Fingerprint:
    """Identifies one build of a module."""

    digest: str
    build_id: str | None
    signed: bool

    @classmethod
    def of(cls, host: Host, content: bytes, where: str) -> Fingerprint:
        """From a module file's content, compressed or not.  Raises CorruptFileError, naming ``where``, if it cannot be decompressed."""
        try:
            plain = unpacked_bytes(host, content)
        except CorruptFileError as error:
            raise CorruptFileError(f"{where} cannot be read: {error.msg}.") from error
        return cls(hashlib.sha256(plain).hexdigest(), _build_id(plain), plain.endswith(MAGIC))

    def is_same(self, other: Fingerprint) -> bool:
        """Whether both are the same build.

        dracut strips unsigned modules, which changes the content but not the linker's build ID.  A signed one is copied
        unchanged, and to a kernel that checks signatures another signature makes it another module.
        """
        if self.digest == other.digest:
            return True
        return not self.signed and not other.signed and self.build_id is not None and self.build_id == other.build_id


def _build_id(module: bytes) -> str | None:
    try:
        return build_id(Elf.parse(module))
    except NotElfError:
        return None


def build_id(elf: Elf) -> str | None:
    """The linker's build ID; None if there is none.  Raises NotElfError if the file is inconsistent."""
    note = elf.content(BUILD_ID_SECTION, LONGEST_NOTE)
    return note[NOTE_HEADER:].hex() if note else None

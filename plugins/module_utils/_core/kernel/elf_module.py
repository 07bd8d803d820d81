# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kernel module says about itself, read from its file."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.compression import unpacked_bytes
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.damage import DamagedError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf import Elf, NotElfError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_signature import signer

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host import Host


@dataclasses.dataclass(frozen=True)
class ModuleInfo:
    """The fields of the section .modinfo that tell whether a module fits, and the signature's signer."""

    vermagic: str | None
    version: str | None
    srcversion: str | None
    aliases: tuple[str, ...]
    signer: str | None
    parameters: frozenset[str] = frozenset()
    versioned: bool = False
    """Whether it names the version of each symbol that it uses (CONFIG_MODVERSIONS)."""

    @classmethod
    def parse(cls, module: bytes, where: str) -> ModuleInfo:
        """Raises HostError when ``module`` is no ELF file with a section .modinfo; ``where`` names it."""
        try:
            return cls.of(Elf.parse(module))
        except NotElfError as error:
            raise HostError(f"{where} is no kernel module: {error}.") from error

    @classmethod
    def of(cls, elf: Elf) -> ModuleInfo:
        """Raises NotElfError when the file has no section .modinfo."""
        section = elf.content(".modinfo")
        if section is None:
            raise NotElfError("it has no section .modinfo")
        fields: dict[str, list[str]] = {}
        for entry in section.split(b"\0"):
            key, equals, value = entry.decode("utf-8", "surrogateescape").partition("=")
            if equals:
                fields.setdefault(key, []).append(value)

        def first(key: str) -> str | None:
            return next(iter(fields.get(key, ())), None)

        aliases = tuple(fields.get("alias", ()))
        # The type of each parameter stands in .modinfo (include/linux/moduleparam.h).
        parameters = frozenset(entry.partition(":")[0] for entry in fields.get("parmtype", ()))
        return cls(first("vermagic"), first("version"), first("srcversion"), aliases, signer(elf.data), parameters, _is_versioned(elf))

    @classmethod
    def read(cls, host: Host, path: str) -> ModuleInfo:
        """Read a module's file, compressed or not."""
        try:
            return cls.parse(unpacked_bytes(host, host.read_bytes(path)), path)
        except DamagedError as error:
            raise HostError(f"{path} is no kernel module: {error.msg}.") from error

    def fits(self, release: str) -> bool:
        """Whether the kernel of that release would load it."""
        return self.release == release

    @property
    def release(self) -> str | None:
        """The release of the kernel that it was built for."""
        return None if self.vermagic is None else self.vermagic.split(" ", 1)[0]


def _is_versioned(elf: Elf) -> bool:
    # The second since Linux 6.14 (CONFIG_EXTENDED_MODVERSIONS).
    return elf.index("__versions") is not None or elf.index("__version_ext_names") is not None

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module information (.modinfo) and the signature in a kernel module's file."""

from __future__ import annotations

import dataclasses
import struct
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.compression import unpacked_bytes
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import CorruptFileError, HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import der
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf import Elf, NotElfError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_table import read_types

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import Types


INIT = "init_module"
"""module_init() makes it another name of the module's own function (include/linux/module.h)."""
MAGIC = b"~Module signature appended~\n"
# struct module_signature in include/linux/module_signature.h: algo, hash, id_type, signer_len, key_id_len, 3 bytes, sig_len
TRAILER = struct.Struct(">BBBBB3xI")
PKCS7 = 2


@dataclasses.dataclass(frozen=True)
class Signer:
    """Who signed a module: the name of the certificate's issuer and its serial number, as they stand in DER, or the key's identifier.

    ``name`` is what people are shown.  The others are empty where the signature does not have them.
    """

    name: str
    issuer: bytes = b""
    serial: bytes = b""
    key_id: bytes = b""

    @property
    def key(self) -> tuple[bytes, bytes, bytes]:
        return self.issuer, self.serial, self.key_id


def signer(module: bytes) -> Signer | None:
    """None if the module is not signed."""
    if not module.endswith(MAGIC):
        return None
    end = len(module) - len(MAGIC) - TRAILER.size
    if end < 0:
        return None
    _algorithm, _digest, kind, name_length, key_length, length = TRAILER.unpack_from(module, end)
    if length + name_length + key_length > end:
        return None
    start = end - length - key_length - name_length
    if kind != PKCS7:
        # Before Linux 4.3 this was the signer's name in plain text.
        name = module[start : start + name_length].decode("utf-8", "replace")
        return Signer(name) if name else None
    try:
        return _pkcs7_signer(module[end - length : end])
    except (IndexError, StopIteration, ValueError):
        return None


def _pkcs7_signer(message: bytes) -> Signer | None:
    # ContentInfo: type, [0] SignedData.  SignedData ends with the set of SignerInfo: version, identifier, …  (RFC 5652)
    content_info = next(der.elements(message)).children()
    signed_data = content_info[1].children()[0].children()
    signer_info = signed_data[-1].children()[0].children()
    identifier = signer_info[1]
    if identifier.tag != der.SEQUENCE:
        return Signer(identifier.content.hex(":"), key_id=identifier.content)
    issuer, serial = identifier.children()
    return Signer(der.shown_name(issuer) or serial.content.hex(":"), issuer.whole, serial.content)


@dataclasses.dataclass(frozen=True)
class ModuleInfo:
    """The fields of .modinfo that decide whether a kernel can load the module, and the signer."""

    vermagic: str | None
    version: str | None
    srcversion: str | None
    aliases: tuple[str, ...]
    signer: Signer | None
    types: Types = dataclasses.field(default_factory=dict)
    """The types of its parameters, by normalized name."""
    versioned: bool = False
    """Whether it has the version of each symbol that it uses (CONFIG_MODVERSIONS)."""
    license: str | None = None
    init: str | None = None
    """The function that runs when it is loaded, as `initcall_blacklist=` names it; None if it has none, or none that can be seen."""
    name: str | None = None
    """The name by which the kernel knows it, normalized, in /sys/module and for `module_blacklist=`: a renamed file keeps it."""

    @classmethod
    def parse(cls, module: bytes, where: str) -> ModuleInfo:
        """Raises HostError, naming the file ``where``, if ``module`` is not an ELF file with a section .modinfo."""
        try:
            return cls.of(Elf.parse(module))
        except NotElfError as error:
            raise HostError(f"{where} is not a kernel module: {error}.") from error

    @classmethod
    def of(cls, elf: Elf) -> ModuleInfo:
        """Raises NotElfError if the file has no section .modinfo."""
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

        return cls(
            vermagic=first("vermagic"),
            version=first("version"),
            srcversion=first("srcversion"),
            aliases=tuple(fields.get("alias", ())),
            signer=signer(elf.data),
            types=read_types(elf, fields),
            versioned=_is_versioned(elf),
            license=first("license"),
            init=elf.first_symbol_at(INIT),
            name=(first("name") or "").replace("-", "_") or None,
        )

    @classmethod
    def read(cls, host: Host, path: str) -> ModuleInfo:
        """Read a module's file, compressed or not.  Raises HostError."""
        try:
            return cls.parse(unpacked_bytes(host, host.read_large(path)), path)
        except CorruptFileError as error:
            raise HostError(f"{path} is not a kernel module: {error.msg}.") from error

    @property
    def parameters(self) -> frozenset[str]:
        """The names of its parameters, normalized."""
        return frozenset(self.types)

    def fits(self, release: str) -> bool:
        """Whether it was built for the kernel of that release."""
        return self.release == release

    @property
    def release(self) -> str | None:
        """The release of the kernel that it was built for; None if it does not say."""
        return None if self.vermagic is None else self.vermagic.split(" ", 1)[0]


def _is_versioned(elf: Elf) -> bool:
    # __version_ext_names: since Linux 6.14 (CONFIG_EXTENDED_MODVERSIONS).
    return elf.index("__versions") is not None or elf.index("__version_ext_names") is not None

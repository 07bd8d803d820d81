# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys that modules are signed with, and the firmware's variables that name them."""

from __future__ import annotations

import datetime as dt
import struct
import typing as t
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs7

if t.TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.firmware import Firmware

OWNER, LEAF, FIRMWARE, STRANGER = "owner", "owner-leaf", "firmware", "stranger"
_MAGIC = b"~Module signature appended~\n"
_TRAILER = struct.Struct(">BBBBB3xI")
_PKCS7 = 2


@dataclass(frozen=True)
class Key:
    """A key and its certificate, which it has signed itself."""

    private: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def signed(self, module: bytes) -> bytes:
        """The module with its signature behind it, as scripts/sign-file of the kernel appends one."""
        options = (pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoCerts)
        builder = pkcs7.PKCS7SignatureBuilder().set_data(module).add_signer(self.certificate, self.private, hashes.SHA256())
        message = builder.sign(serialization.Encoding.DER, [*options, pkcs7.PKCS7Options.NoAttributes])
        return module + message + _TRAILER.pack(0, 0, _PKCS7, 0, 0, len(message)) + _MAGIC


def made() -> dict[str, Key]:
    """One key of each kind, by its name; that of `owner-leaf` is not an authority's."""
    return {name: _made(f"test {name}", is_authority=name != LEAF) for name in (OWNER, LEAF, FIRMWARE, STRANGER)}


def _made(name: str, *, is_authority: bool) -> Key:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    begin = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    builder = (
        x509.CertificateBuilder(
            subject, subject, private.public_key(), x509.random_serial_number(), begin, dt.datetime(2049, 1, 1, tzinfo=dt.UTC)
        )
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
    )
    return Key(private, builder.sign(private, hashes.SHA256()))


def unsigned(module: bytes) -> bytes:
    """The module without the signature that it has."""
    end = len(module) - len(_MAGIC) - _TRAILER.size
    length = _TRAILER.unpack_from(module, end)[-1]
    return module[: end - length]


def enter(firmware: Firmware, keys: t.Mapping[str, Key], folder: Path, store: Path) -> None:
    """Write the firmware's variables to `store`: Secure Boot is on, and the keys are where their names say."""
    places = {name: folder / f"{name}.pem" for name in (OWNER, LEAF, FIRMWARE)}
    for name, place in places.items():
        place.write_bytes(keys[name].certificate.public_bytes(serialization.Encoding.PEM))
    firmware.write_variables(store, secure_boot=True, owner=[places[OWNER], places[LEAF]], database=[places[FIRMWARE]])

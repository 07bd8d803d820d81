# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""X.509 certificates as far as a kernel asks for them when it looks for a module's key, and the lists of them in EFI variables."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
import struct
import typing as t
import uuid

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import der

# EFI_CERT_X509_GUID (UEFI specification, section 32.4.1)
X509 = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072").bytes_le
# EFI_SIGNATURE_LIST: type, size of the list, of its header, and of each signature; a signature begins with its owner's GUID.
LIST = struct.Struct("<16sIII")
OWNER = 16
MOST = 512
PEM = re.compile(rb"-----BEGIN CERTIFICATE-----\r?\n([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")

EXTENSIONS = 0xA3
KEY_IDENTIFIER, BASIC_CONSTRAINTS = bytes((0x55, 0x1D, 0x0E)), bytes((0x55, 0x1D, 0x13))
TRUE = b"\x01\x01\xff"


@dataclasses.dataclass(frozen=True)
class Certificate:
    """``issuer`` and ``serial`` as they stand in DER; ``digest``: SHA-256 of what is signed; ``content``: all of it."""

    name: str
    issuer: bytes
    serial: bytes
    key_id: bytes
    is_authority: bool
    digest: bytes
    content: bytes


def parse(content: bytes) -> Certificate | None:
    """A certificate in DER, or the first one in PEM, which scripts/sign-file.c takes as well; None if it is none.

    (RFC 5280, section 4.1, RFC 7468.)  No kernel asks until when it is valid (x509_check_for_self_signed() and what follows it).
    """
    armoured = PEM.search(content)
    try:
        content = content if armoured is None else base64.b64decode(b"".join(armoured[1].split()), validate=True)
        return _parse(next(der.elements(content)))
    except (IndexError, StopIteration, ValueError):
        return None


def _parse(whole: der.Element) -> Certificate:
    signed = whole.children()[0]
    # The version, [0], may be missing.
    fields = [field for field in signed.children() if field.tag != 0xA0]
    serial, _algorithm, issuer, _validity, subject = fields[:5]
    extensions = dict(_extensions(fields[6:]))
    key_id = next(der.elements(extensions[KEY_IDENTIFIER])).content if KEY_IDENTIFIER in extensions else b""
    return Certificate(
        name=der.shown_name(subject),
        issuer=issuer.whole,
        serial=serial.content,
        key_id=key_id,
        is_authority=TRUE in extensions.get(BASIC_CONSTRAINTS, b""),
        digest=hashlib.sha256(signed.whole).digest(),
        content=whole.whole,
    )


def _extensions(fields: t.Sequence[der.Element]) -> t.Iterator[tuple[bytes, bytes]]:
    for field in fields:
        if field.tag == EXTENSIONS:
            for extension in field.children()[0].children():
                parts = extension.children()
                yield parts[0].content, parts[-1].content


def in_lists(content: bytes) -> tuple[Certificate, ...]:
    """The certificates in a variable that holds signature lists; none from where it is damaged."""
    return tuple(found for found in map(parse, _signatures(content)) if found is not None)[:MOST]


def _signatures(content: bytes) -> t.Iterator[bytes]:
    at = 0
    while at + LIST.size <= len(content):
        kind, size, header, each = LIST.unpack_from(content, at)
        if size < LIST.size + header or at + size > len(content) or each <= OWNER:
            return
        if kind == X509:
            for start in range(at + LIST.size + header, at + size - each + 1, each):
                yield content[start + OWNER : start + each]
        at += size

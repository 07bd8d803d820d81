# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who signed a kernel module: the name in the PKCS#7 message that the kernel's sign-file appends to it."""

from __future__ import annotations

import struct
import typing as t

MAGIC = b"~Module signature appended~\n"
# struct module_signature in include/linux/module_signature.h: algo, hash, id_type, signer_len, key_id_len, 3 bytes, sig_len
TRAILER = struct.Struct(">BBBBB3xI")
PKCS7 = 2

SEQUENCE = 0x30
COMMON_NAME = bytes((0x55, 0x04, 0x03))


def signer(module: bytes) -> str | None:
    """The common name of the signer's certificate, its key's identifier where that is all there is, None when unsigned."""
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
        # Before Linux 4.3 the signer's name stood there as it is.
        return module[start : start + name_length].decode("utf-8", "replace") or None
    try:
        return _pkcs7_signer(module[end - length : end])
    except (IndexError, StopIteration):
        return None


class _Element(t.NamedTuple):
    tag: int
    content: bytes

    def children(self) -> list[_Element]:
        return list(_elements(self.content))


def _elements(data: bytes) -> t.Iterator[_Element]:
    """The DER elements that ``data`` consists of.  Raises IndexError when it is cut off."""
    at = 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            width = length & 0x7F
            length, at = int.from_bytes(data[at : at + width], "big"), at + width
        if at + length > len(data):
            raise IndexError("cut off")
        yield _Element(tag, data[at : at + length])
        at += length


def _pkcs7_signer(message: bytes) -> str | None:
    # ContentInfo: type, [0] SignedData.  SignedData ends with the set of SignerInfo: version, identifier, …  (RFC 5652)
    content_info = next(_elements(message)).children()
    signed_data = content_info[1].children()[0].children()
    signer_info = signed_data[-1].children()[0].children()
    identifier = signer_info[1]
    if identifier.tag != SEQUENCE:
        return identifier.content.hex(":")
    name = identifier.children()[0]
    parts = [attribute.children() for group in name.children() for attribute in group.children()]
    return next((value.content.decode("utf-8", "replace") for oid, value in parts if oid.content == COMMON_NAME), None)

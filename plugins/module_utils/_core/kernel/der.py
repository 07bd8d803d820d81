# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""DER, as certificates and signatures are written in (ITU-T X.690), as far as they need it."""

from __future__ import annotations

import typing as t

SEQUENCE = 0x30
COMMON_NAME = bytes((0x55, 0x04, 0x03))


class Element(t.NamedTuple):
    """``whole`` is the element with its tag and length, byte for byte."""

    tag: int
    content: bytes
    whole: bytes

    def children(self) -> list[Element]:
        """Raises IndexError if they are truncated."""
        return list(elements(self.content))


def elements(data: bytes) -> t.Iterator[Element]:
    """The elements that ``data`` consists of.  Raises IndexError if it is truncated."""
    at = 0
    while at < len(data):
        start, tag, length, at = at, data[at], data[at + 1], at + 2
        if length & 0x80:
            width = length & 0x7F
            length, at = int.from_bytes(data[at : at + width], "big"), at + width
        if at + length > len(data):
            raise IndexError("truncated")
        yield Element(tag, data[at : at + length], data[start : at + length])
        at += length


def shown_name(name: Element) -> str:
    """The common name in a distinguished name, else what it begins with; empty if nothing is in it."""
    parts = [attribute.children() for group in name.children() for attribute in group.children()]
    texts = {oid.content: value.content.decode("utf-8", "replace") for oid, value in reversed(parts)}
    return texts.get(COMMON_NAME) or next(iter(reversed(texts.values())), "")

# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ACPI's machine language, as much of it as it takes to give a PCI function properties (ACPI 6.5, chapter 20)."""

from __future__ import annotations

import struct
import typing as t
import uuid

_SCOPE, _NAME, _BUFFER, _PACKAGE, _STRING, _QWORD = 0x10, 0x08, 0x11, 0x12, 0x0D, 0x0E
_ROOT_OF_SEVERAL = b"\\\x2f"
#: That what follows are properties by name (ACPI 6.5, 6.2.5).
_DEVICE_PROPERTIES = uuid.UUID("daffd814-6eba-4d8c-8a91-bc9bbf4aa301")


def properties_behind_port(slot: int, properties: t.Mapping[str, int]) -> bytes:
    """The body of an SSDT that gives properties to the function 0 behind the root port in this slot of the first bus.

    QEMU names both after their numbers (build_append_pci_bus_devices() in hw/i386/acpi-build.c).
    """
    pairs = [_package(_string(name), _integer(value)) for name, value in properties.items()]
    described = _package(_buffer(_DEVICE_PROPERTIES.bytes_le), _package(*pairs))
    function = b"".join((b"_SB_", b"PCI0", f"S{slot << 3:02X}_".encode("ascii"), b"S00_"))
    return bytes([_SCOPE]) + _sized(_ROOT_OF_SEVERAL + bytes([len(function) // 4]) + function + _named(b"_DSD", described))


def in_initramfs(body: bytes) -> bytes:
    """The whole SSDT, as the kernel takes it out of an initramfs where a machine's firmware cannot be given tables (ACPI 6.5, 5.2.6)."""
    parts = (b"SSDT", 36 + len(body), 2, 0, b"VFIO  ", b"PROPERTY", 1, b"VFIO", 1)
    whole = bytearray(struct.pack("<4sIBB6s8sI4sI", *parts) + body)
    whole[9] = -sum(whole) & 0xFF
    return bytes(whole)


def _named(name: bytes, value: bytes) -> bytes:
    return bytes([_NAME]) + name + value


def _package(*elements: bytes) -> bytes:
    return bytes([_PACKAGE]) + _sized(bytes([len(elements)]) + b"".join(elements))


def _buffer(content: bytes) -> bytes:
    return bytes([_BUFFER]) + _sized(_integer(len(content)) + content)


def _string(text: str) -> bytes:
    return bytes([_STRING]) + text.encode("ascii") + b"\0"


def _integer(value: int) -> bytes:
    return bytes([_QWORD]) + value.to_bytes(8, "little")


def _sized(body: bytes) -> bytes:
    """With the length in front, which counts itself: in one byte, or with its lowest four bits in the first of several."""
    if len(body) < 0x3F:
        return bytes([len(body) + 1]) + body
    for further in (1, 2, 3):
        length = len(body) + 1 + further
        if length < 1 << (4 + 8 * further):
            return bytes([further << 6 | length & 0xF]) + (length >> 4).to_bytes(further, "little") + body
    raise ValueError(f"{len(body)} bytes are more than a part of a table can have")
